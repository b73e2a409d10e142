// The page works without this; with it: theme, filter, keys, local dates, previews, and long lists built as one scrolls.
(() => {
  const root = document.documentElement, $ = (selector) => document.querySelector(selector);
  const themes = ['auto', 'light', 'dark'];
  let theme = 'auto';
  try { theme = localStorage.getItem('salver-theme') || theme; } catch { /* no storage: the system decides */ }
  const wear = () => { if (theme === 'auto') delete root.dataset.theme; else root.dataset.theme = theme; };
  wear();
  root.classList.add('js');

  addEventListener('DOMContentLoaded', () => {
    const button = $('#theme');
    if (button) {
      const say = () => { button.setAttribute('aria-label', 'Theme: ' + theme); button.title = button.getAttribute('aria-label'); button.dataset.is = theme; };
      button.hidden = false;
      say();
      button.onclick = () => {
        theme = themes[(themes.indexOf(theme) + 1) % 3];
        try { localStorage.setItem('salver-theme', theme); } catch { /* lasts as long as the page */ }
        wear();
        say();
      };
    }
    const typing = (event) => /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey;
    addEventListener('keydown', (event) => {
      const up = $('[data-up]');
      if (event.key === 'Backspace' && !typing(event) && up) { event.preventDefault(); location.href = up.href; }
    });
    for (const time of document.querySelectorAll('.facts time')) local(time);
    const box = $('#list');
    if (box) list(box, typing);
  });

  const narrow = matchMedia('(max-width: 40rem)').matches;
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: narrow ? 'short' : 'medium' });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });
  const ago = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: narrow ? 'narrow' : 'long' });
  const local = (time) => {
    const date = new Date(time.dateTime), minutes = (date - Date.now()) / 6e4;
    if (isNaN(date)) return;
    time.title = exact.format(date);
    time.textContent = minutes > 1 || minutes < -10080 ? day.format(date)
      : minutes > -1 ? ago.format(0, 'second')
      : minutes > -60 ? ago.format(Math.round(minutes), 'minute')
      : minutes > -1440 ? ago.format(Math.round(minutes / 60), 'hour')
      : ago.format(Math.round(minutes / 1440), 'day');
  };

  const list = (box, typing) => {
    const grid = box.tagName === 'UL', STEP = 500;
    // The rows beyond the first arrive as text, one a line, and become elements when they are about to be seen.
    const all = [...box.children].map((row) => ({ row, html: '' }));
    for (const rest of document.querySelectorAll('noscript.rest')) {
      for (const line of rest.textContent.split('\n')) if (/^<(tr|li) /.test(line)) all.push({ row: null, html: line });
      rest.remove();
    }
    let rows = all, shown = 0;
    const build = (entry) => {
      if (!entry.row) {
        const parser = document.createElement('template');
        parser.innerHTML = entry.html;
        entry.row = parser.content.firstElementChild;
        entry.html = '';
      }
      if (!entry.ready) {
        entry.ready = true;
        const { row } = entry, link = row.querySelector('a'), time = row.querySelector('time');
        if (time) local(time);
        row.querySelector('img')?.addEventListener('error', (event) => event.target.remove());
        const button = row.querySelector('.view');
        if (button) { // a link, which opens in a new tab as well
          const view = document.createElement('a');
          view.className = 'view';
          view.href = link.getAttribute('href') + '?view';
          view.title = 'Preview';
          view.setAttribute('aria-label', 'Preview ' + link.textContent);
          button.replaceWith(view);
        }
      }
      return entry.row;
    };
    const more = () => {
      const next = rows.slice(shown, shown + STEP).map(build);
      shown += next.length;
      box.append(...next);
      end.hidden = shown >= rows.length;
    };
    const end = document.createElement('p');
    end.className = 'end';
    end.textContent = 'More entries appear as you scroll.';
    (grid ? box : box.closest('table')).after(end);
    const near = new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting) && shown < rows.length) { more(); near.unobserve(end); near.observe(end); }
    }, { rootMargin: '1500px' });
    near.observe(end);
    const show = (chosen) => { rows = chosen; shown = 0; box.replaceChildren(); more(); near.unobserve(end); near.observe(end); };
    if (all.length > STEP) show(all); else { all.forEach(build); shown = all.length; end.hidden = true; }

    const filter = $('#filter'), count = $('#count');
    const letters = document.createElement('textarea');
    const name = (entry) => {
      if (entry.name === undefined) {
        if (entry.row) entry.name = entry.row.querySelector('a').textContent;
        else { letters.innerHTML = entry.html.match(/<a [^>]*>([^<]*)</)[1]; entry.name = letters.value; }
        entry.name = entry.name.toLowerCase();
      }
      return entry.name;
    };
    if (filter) {
      filter.parentNode.hidden = false;
      const apply = () => {
        const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
        show(words.length ? all.filter((entry) => words.every((word) => name(entry).includes(word))) : all);
        count.textContent = words.length ? `${rows.length.toLocaleString()} of ${all.length.toLocaleString()} shown` : '';
        count.hidden = !words.length;
      };
      filter.oninput = apply;
      if (filter.value) apply(); // the browser kept it over a reload
    }

    const links = () => [...box.querySelectorAll('bdi a')];
    const columns = () => {
      if (!grid) return 1;
      const tops = [...box.children].slice(0, 64).map((row) => row.offsetTop);
      return Math.max(1, tops.filter((top) => top === tops[0]).length);
    };
    addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && event.target === filter) { filter.value = ''; filter.oninput(); filter.blur(); return; }
      if (event.key === '/' && !typing(event) && filter) { event.preventDefault(); filter.focus(); filter.select(); return; }
      const inFilter = event.target === filter && event.key === 'ArrowDown';
      if (typing(event) && !inFilter) return;
      const step = { ArrowDown: columns(), ArrowUp: -columns(), ...(grid && { ArrowRight: 1, ArrowLeft: -1 }) }[event.key];
      if (!step) return;
      const every = links(), row = document.activeElement.closest('#list > *');
      const at = row ? every.indexOf(row.querySelector('bdi a')) : -1;
      const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), every.length - 1);
      if (to > every.length - 20 && shown < rows.length) more();
      if (every[to]) { event.preventDefault(); every[to].focus(); every[to].scrollIntoView({ block: 'nearest' }); }
    });
  };
})();
