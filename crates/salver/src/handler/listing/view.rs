//! How a listing is to be shown, as its query says: `?sort=name|size|time&order=asc|desc&view=list|grid`.
//!
//! Whatever else a query holds is not ours: it changes nothing, and the title shows it as http.server does.

/// How a listing is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) key: Key,
    pub(super) order: Order,
    pub(super) shape: Shape,
}

/// What entries are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Key {
    #[default]
    Name,
    Size,
    Time,
}

/// The direction of the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Ascending,
    Descending,
}

/// A table, or cards with pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    List,
    Grid,
}

impl View {
    /// Reads a query; the second value says whether all of it is ours.
    pub(super) fn parse(query: Option<&[u8]>) -> (Self, bool) {
        let mut view = Self::default();
        let Some(query) = query else { return (view, true) };
        let mut is_ours = true;
        for pair in query.split(|byte| *byte == b'&') {
            match pair {
                b"sort=name" => view.key = Key::Name,
                b"sort=size" => view.key = Key::Size,
                b"sort=time" => view.key = Key::Time,
                b"order=asc" => view.order = Order::Ascending,
                b"order=desc" => view.order = Order::Descending,
                b"view=list" => view.shape = Shape::List,
                b"view=grid" => view.shape = Shape::Grid,
                _ => is_ours = false,
            }
        }
        (view, is_ours)
    }

    /// The link to the same listing sorted by `key`: the other way round if it is sorted by that already.
    pub(super) fn sorted_by(self, key: Key) -> String {
        let order = match (self.key == key, self.order) {
            (true, Order::Ascending) => Order::Descending,
            _ => Order::Ascending,
        };
        Self { key, order, ..self }.link()
    }

    /// The link to the same listing in the other shape.
    pub(super) fn reshaped(self) -> String {
        let shape = match self.shape {
            Shape::List => Shape::Grid,
            Shape::Grid => Shape::List,
        };
        Self { shape, ..self }.link()
    }

    /// What `aria-sort` says of the column of `key`.
    pub(super) fn aria_sort(self, key: Key) -> Option<&'static str> {
        (self.key == key).then_some(match self.order {
            Order::Ascending => "ascending",
            Order::Descending => "descending",
        })
    }

    fn link(self) -> String {
        let key = match self.key {
            Key::Name => "name",
            Key::Size => "size",
            Key::Time => "time",
        };
        let order = match self.order {
            Order::Ascending => "asc",
            Order::Descending => "desc",
        };
        let shape = match self.shape {
            Shape::List => "",
            Shape::Grid => "&view=grid",
        };
        format!("?sort={key}&order={order}{shape}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_a_view_and_back() {
        let view = |key, order, shape| View { key, order, shape };
        for (query, want, ours) in [
            (None, View::default(), true),
            (Some(""), View::default(), false),
            (Some("x=123"), View::default(), false),
            (Some("sort=size"), view(Key::Size, Order::Ascending, Shape::List), true),
            (Some("sort=time&order=desc"), view(Key::Time, Order::Descending, Shape::List), true),
            (Some("view=grid&x"), view(Key::Name, Order::Ascending, Shape::Grid), false),
            (Some("sort=colour"), View::default(), false),
        ] {
            assert_eq!(View::parse(query.map(str::as_bytes)), (want, ours), "{query:?}");
            assert_eq!(View::parse(Some(&want.link().as_bytes()[1..])), (want, true), "{query:?}");
        }
    }

    #[test]
    fn a_second_click_turns_the_order() {
        let view = View::default();
        assert_eq!(view.sorted_by(Key::Name), "?sort=name&order=desc");
        assert_eq!(view.sorted_by(Key::Size), "?sort=size&order=asc");
        assert_eq!(view.reshaped(), "?sort=name&order=asc&view=grid");
        assert_eq!((view.aria_sort(Key::Name), view.aria_sort(Key::Time)), (Some("ascending"), None));
    }
}
