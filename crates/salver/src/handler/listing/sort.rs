//! The order of a listing: by name without regard to case, as Python's `list.sort(key=lambda a: a.lower())`, unless asked
//! for another. What has no size (a folder) is smaller than what has one; what is equal stands by name.

use std::cmp::Ordering;

use super::rows::{Kind, Row, Rows};
use super::view::{self, Key, View};

/// Sorts as `view` says.
pub(super) fn sort(rows: &mut Rows, view: View) {
    let size = |row: &Row<'_>| (row.kind == Kind::File).then_some(row.size);
    rows.sort_by(|a, b| {
        let by_name = || compare(a.name, b.name);
        let ascending = match view.key {
            Key::Name => by_name(),
            Key::Size => size(a).cmp(&size(b)),
            Key::Time => a.modified.cmp(&b.modified),
        };
        match view.order {
            view::Order::Ascending => ascending,
            view::Order::Descending => ascending.reverse(),
        }
        .then_with(by_name)
    });
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    for (one, other) in a.iter().zip(b) {
        if !(one.is_ascii() && other.is_ascii()) {
            return lower(a).cmp(lower(b)).then_with(|| a.cmp(b));
        }
        let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
        if one != other {
            return one.cmp(&other);
        }
    }
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The code points Python compares: a byte that is no UTF-8 is the surrogate U+DC00 + byte.
fn lower(name: &[u8]) -> impl Iterator<Item = u32> {
    name.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().flat_map(char::to_lowercase).map(u32::from);
        valid.chain(chunk.invalid().iter().map(|byte| 0xDC00 + u32::from(*byte)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_as_python_sorts_them() {
        // By Python 3.13: sorted(names, key=lambda a: a.lower()) over os.listdir's surrogates.
        let sorted: [&[u8]; 12] = [
            b"!",
            b"10",
            b"9",
            b"A",
            b"a",
            b"a.txt",
            b"a_b",
            b"ab",
            "Ä".as_bytes(),
            "ä".as_bytes(),
            b"\xFF",
            "😀".as_bytes(),
        ];
        for (at, name) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                assert_eq!(
                    compare(name, other),
                    at.cmp(&other_at),
                    "{} {}",
                    name.escape_ascii(),
                    other.escape_ascii()
                );
            }
        }
    }
}
