"use strict";
(() => {
  const ROW = 48, SPARE = 8;
  const byId = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(byId(id).textContent);
  const made = (tag, text, kind) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };

  // Light or dark: the system's choice, until the button is used.
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { root.dataset.theme = system.matches ? "dark" : "light"; };
  follow();
  system.addEventListener("change", follow);
  byId("theme").addEventListener("click", () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; });

  // Tables sort by their heads; numbers by value, cells without one last.
  const number = (text) => parseFloat(text.replace("−", "-").replace("+", ""));
  for (const table of document.querySelectorAll("table.sorts")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const value = (row) => {
        const text = row.cells[place].textContent;
        return head.classList.contains("number") ? number(text) : text;
      };
      const empty = (found) => found === "" || Number.isNaN(found);
      const compare = (one, other) => {
        const [left, right] = [value(one), value(other)];
        if (empty(left) || empty(right)) return empty(left) - empty(right);
        const order = typeof left === "number" ? left - right : left.localeCompare(right);
        return falling ? -order : order;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    }));
  }

  // The items: only the rows in sight are in the document.
  const files = data("files"), items = data("lines");
  const list = byId("list"), rows = byId("rows"), search = byId("search");
  const choices = {
    run: (item) => [files[item.file].run],
    verdict: (item) => [item.verdict],
    kind: (item) => item.kinds || [],
    subset: (item) => [files[item.file].subset],
    variant: (item) => [files[item.file].variant],
    lang: (item) => [files[item.file].lang],
    remark: (item) => item.remarks || [],
  };
  for (const [id, values] of Object.entries(choices)) {
    const found = new Set(items.flatMap(values));
    for (const value of [...found].sort()) byId(id).append(new Option(value, value));
    byId(id).addEventListener("change", filter);
  }
  let words = null, shown = [], chosen = -1;

  function matching(text) {
    words ??= items.map((item) => `${item.key} ${item.prompt} ${item.response ?? ""}`.toLowerCase());
    return (item, place) => words[place].includes(text);
  }

  function filter() {
    const text = search.value.trim().toLowerCase();
    const tests = text ? [matching(text)] : [];
    for (const [id, values] of Object.entries(choices)) {
      const wanted = byId(id).value;
      if (wanted) tests.push(id === "verdict" ? (item) => verdict(item) === wanted : (item) => values(item).includes(wanted));
    }
    shown = [];
    items.forEach((item, place) => { if (tests.every((test) => test(item, place))) shown.push(place); });
    const length = (place) => (items[place].response ?? "").length;
    const orders = {
      key: (one, other) => String(items[one].key).localeCompare(String(items[other].key), undefined, { numeric: true }),
      short: (one, other) => length(one) - length(other),
      long: (one, other) => length(other) - length(one),
    };
    const order = orders[byId("order").value];
    if (order) shown.sort(order);
    byId("count").textContent = `${shown.length} of ${items.length} items`;
    rows.style.height = `${shown.length * ROW}px`;
    list.scrollTop = 0;
    chosen = -1;
    draw();
  }

  // Where one kind of instruction is chosen, the verdict is the one on that kind.
  function verdict(item) {
    const kind = byId("kind").value;
    if (!kind || item.verdict === "unscored") return item.verdict;
    const own = item.reasons.filter(([name, about]) => about === kind && name !== "loose");
    return own.every(([, , met]) => met) ? "met" : "not met";
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
    rows.replaceChildren(...shown.slice(first, last).map((place, offset) => row(items[place], first + offset)));
    if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", `row${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function row(item, place) {
    const file = files[item.file];
    const element = made("div", undefined, "row");
    element.id = `row${place}`;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(place === chosen));
    element.setAttribute("aria-setsize", shown.length);
    element.setAttribute("aria-posinset", place + 1);
    element.style.top = `${place * ROW}px`;
    const about = made("small");
    about.append(made("span", verdict(item), verdict(item).replace(" ", "-")), ` · ${file.subset} ${file.variant} ${file.lang} · ${item.key ?? "no key"} · ${file.run}`);
    element.append(made("span", item.prompt), about);
    element.addEventListener("click", () => choose(place));
    return element;
  }

  function choose(place) {
    if (!shown.length) return;
    chosen = Math.min(Math.max(place, 0), shown.length - 1);
    const top = chosen * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    draw();
    byId("item").replaceChildren(...detail(items[shown[chosen]]));
    byId("item").scrollTop = 0;
  }

  function detail(item) {
    const file = files[item.file], parts = [];
    const heading = made("h3");
    heading.append(made("span", item.verdict, item.verdict.replace(" ", "-")), ` · ${file.file} · ${item.key ?? "no key"}`);
    parts.push(heading);
    if (item.unscored) parts.push(made("p", `Unscored: ${item.unscored}`));
    if (item.audio) parts.push(...[item.audio, ...(item.further ?? [])].flatMap(sound));
    const block = (title, text) => parts.push(made("h3", title), made("pre", text, "text"));
    block("Prompt", item.prompt);
    for (const [title, text] of item.asked ?? []) block(title, text);
    if (item.transcript) block("What the recogniser heard", item.transcript);
    if (item.response === null) block("No response", item.error ?? "no reason is noted");
    else block(item.remarks ? `Response (${item.remarks.join(", ")})` : "Response", item.response);
    if (item.reasons.length) {
      const cells = item.reasons.map(([name, about, met, expected, found, flag]) =>
        [name, about, met ? "met" : "not met", expected, flag ? `${found} (${flag})` : found]);
      parts.push(made("h3", "Verdicts"), grid(["way", "instruction", "verdict", "expected", "found"], cells));
    }
    if (item.votes) {
      const cells = item.votes.map(([judge, reply, read]) => [judge || "judge", reply, read ?? "not read: it does not count"]);
      parts.push(made("h3", "Judge votes"), grid(["judge", "reply", "read as"], cells));
    }
    return parts;
  }

  function sound(audio) {
    let source = audio.link;
    if (audio.number !== undefined) {
      const stored = byId(`audio${audio.number}`);
      source = `data:${stored.dataset.type};base64,${stored.textContent}`;
    }
    if (source === undefined) return [made("p", `Recording not found: ${audio.name}`)];
    const player = made("audio");
    player.controls = true;
    player.preload = "metadata";
    player.src = source;
    const where = audio.link === undefined ? "" : "; beside this page, not in it";
    return [player, made("p", `${audio.name}${where}`, "notes")];
  }

  function grid(heads, lines) {
    const table = made("table"), head = made("tr"), body = made("tbody"), top = made("thead");
    head.append(...heads.map((text) => { const cell = made("th", text); cell.scope = "col"; return cell; }));
    for (const line of lines) {
      const element = made("tr");
      element.append(...line.map((text) => made("td", text, text === "met" ? "met" : text === "not met" ? "not-met" : "")));
      body.append(element);
    }
    top.append(head);
    table.append(top, body);
    return table;
  }

  const page = () => Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
  const moves = {
    ArrowDown: () => chosen + 1, ArrowUp: () => chosen - 1, Home: () => 0, End: () => shown.length - 1,
    PageDown: () => chosen + page(), PageUp: () => chosen - page(),
  };
  list.addEventListener("keydown", (event) => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    choose(moves[event.key]());
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|SELECT)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    search.focus();
  });
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  byId("order").addEventListener("change", filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  filter();
})();
