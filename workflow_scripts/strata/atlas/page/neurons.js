// Study 1: find neurons by word, category and score; one model, or two beside each other.
"use strict";

strata.neurons = async (main, name, study, state, changed, alive) => {
  const { element, labelled, select, replace, load, number, layerName, plain } = strata;
  const samples = strata.samples(name, study.samples);
  const wordAt = new Map(study.words.map((word, index) => [word.toLowerCase(), index]).reverse());
  const exactly = new Map(study.words.map((word, index) => [word, index]));
  const models = new Map(study.models);
  if (!models.has(state.a)) state.a = study.models[0][0];
  if (!models.has(state.b)) state.b = "";

  const modelFile = (model) => load(`${name}/${model}`, `${name}/model-${encodeURIComponent(model)}.js`);
  const color = (word) => {
    const category = word < 0 ? -1 : study.category[word];
    return category < 0 ? study.rest : study.categories[category].color;
  };

  // Larger is better, but for the q-value and the place.
  const ORDERS = [
    ["match", "best match"], ["score", "score"], ["q_value", "q-value"], ["margin", "margin"],
    ["stability", "stability"], ["clarity", "clarity"],
    ["polysemanticity", "polysemanticity"], ["redundancy", "redundancy"], ["place", "layer and number"],
  ];

  // Rows that a search finds, each with how near it is to the word (null: found by its label).
  function matches(data, f) {
    const asked = (state.q || "").trim().toLowerCase();
    if (!asked) return null;
    const found = new Map();
    const exact = exactly.get(state.q.trim()) ?? wordAt.get(asked);
    const near = exact !== undefined && data.nearest ? data.nearest[exact] : null;
    if (near) near[0].forEach((row, i) => found.set(row, near[1][i]));
    const words = new Set();
    study.words.forEach((word, index) => {
      const value = word.slice(word.indexOf("=") + 1).toLowerCase();
      if (exact !== undefined ? value === asked : word.toLowerCase().includes(asked)) words.add(index);
    });
    data.label[f].forEach((word, row) => {
      if (words.has(word) && !found.has(row)) found.set(row, null);
    });
    return found;
  }

  function rowsOf(data, layer) {
    const f = Math.max(0, data.functions.indexOf(state.fn));
    const found = matches(data, f);
    const wanted = layer === "" || layer == null ? -1 : Number(layer);
    const category = study.categories.findIndex((one) => one.name === state.cat);
    const least = state.min ? Number(state.min) : -Infinity;
    const rows = [];
    for (const row of found ? found.keys() : data.unit.keys()) {
      if (wanted >= 0 && data.layer[row] !== wanted) continue;
      const word = data.label[f][row];
      if (category >= 0 && (word < 0 || study.category[word] !== category)) continue;
      // A missing number would count as zero.
      if (state.sig && data.q_value && !((data.q_value[row] ?? Infinity) <= study.alpha)) continue;
      if (!((data.score[f][row] ?? -Infinity) >= least)) continue;
      rows.push(row);
    }
    return { f, found, rows: sorted(data, f, found, rows) };
  }

  function sorted(data, f, found, rows) {
    let by = state.sort || (found ? "match" : "score");
    if (by === "match" && !found) by = "score";
    const key = {
      match: (row) => -(found && found.get(row) != null ? found.get(row) : -1),
      score: (row) => -(data.score[f][row] ?? -Infinity),
      q_value: (row) => data.q_value?.[row] ?? Infinity,
      place: () => 0,
    }[by] || ((row) => -(data[by]?.[row] ?? -Infinity));
    const keys = new Float64Array(data.unit.length);
    for (const row of rows) keys[row] = key(row);
    return rows.sort((x, y) => keys[x] - keys[y] || x - y);
  }

  function drawRow(data, f, found, row) {
    const word = data.label[f][row];
    const near = found ? found.get(row) : null;
    const numbers = [`score ${number(data.score[f][row])}`];
    if (data.q_value && f === 0) numbers.push(`q ${number(data.q_value[row], 3)}`);
    if (near != null) numbers.push(`cosine ${number(near)}`);
    if (data.sign && data.sign[row] < 0) numbers.push("where it is low");
    const planted = data.functions.indexOf("planted_factor");
    const factor = planted >= 0 && planted !== f && data.label[planted][row] >= 0
      ? `${plain(study.words[data.label[planted][row]])} ${number(data.score[planted][row])}` : "";
    const text = element("span", { className: "text" },
      element("b", {}, word < 0 ? "no label" : plain(study.words[word])),
      element("span", { className: "quiet" }, `${layerName(data.layers[data.layer[row]])} · neuron ${data.unit[row]}`),
      element("span", { className: "quiet" }, numbers.join(" · ")),
      factor ? element("span", { className: "factor" }, factor) : null);
    const top = data.top && !samples.sounds ? data.top[row].slice(0, 5) : [];
    const shown = element("span", { className: "thumbs", "aria-hidden": "true" },
      ...top.map((place) => samples.show(place, 44)));
    return element("div", { className: "row" },
      element("span", { className: "dot", style: { background: color(word) } }), text, shown);
  }

  function strip(data, side, f) {
    const [counts, shares] = [data.concepts[f], data.shares[f]];
    const chosen = state[`l${side}`] ?? "";
    const pick = (value) => { state[`l${side}`] = value; update(); };
    const bars = data.layers.map((layer, i) => {
      const parts = study.categories.map((category, c) => element("span", {
        style: { flexGrow: shares[i][c] || 0, background: category.color } }));
      const rest = 1 - shares[i].reduce((sum, share) => sum + (share || 0), 0);
      parts.push(element("span", { style: { flexGrow: Math.max(rest, 0), background: study.rest } }));
      const told = study.categories.map((category, c) =>
        `${category.name} ${Math.round(100 * (shares[i][c] || 0))}%`).join(", ");
      return element("button", {
        type: "button", "aria-pressed": String(chosen === String(i)), onclick: () => pick(String(i)),
        "aria-label": `${layerName(layer)}: ${counts[i]} concepts`,
        title: `${layer[0]}: ${counts[i]} concepts above the median score; ${told}`,
      }, element("span", { className: "bar", style: { height: "3.5rem" } }, ...parts),
      element("span", {}, String(counts[i] ?? "")),
      element("span", { className: "number" }, String(layer[1])));
    });
    const all = element("button", { type: "button", "aria-pressed": String(chosen === ""), onclick: () => pick("") }, "all");
    return element("div", { className: "strip", role: "group", "aria-label": "Layers" }, all, ...bars);
  }

  const panes = {};
  function pane(side) {
    const status = element("p", { className: "status", role: "status" });
    const top = element("div", { className: "head" });
    const made = { status, top, f: 0, found: null, data: null };
    made.list = strata.list({
      name: `Neurons of model ${side.toUpperCase()}`, rowHeight: 76,
      draw: (row) => drawRow(made.data, made.f, made.found, row),
      open: (row) => open(side, row),
    });
    made.box = element("section", { className: "pane", "aria-label": `Model ${side.toUpperCase()}` }, top, status, made.list.box);
    panes[side] = made;
    return made;
  }

  function open(side, row) {
    const { data } = panes[side];
    state.n = `${side}${row}`;
    changed(state);
    strata.details(study, samples, models.get(state[side]), data, row, {
      open: (other) => open(side, other),
      close: () => { state.n = ""; changed(state); },
    });
  }

  async function fill(side, current) {
    const made = panes[side] || pane(side);
    const chosen = [...(side === "b" ? [["", "no second model"]] : []), ...study.models];
    const picker = labelled(side === "b" ? "Compare with" : "Model", select(chosen, state[side], (value) => {
      state[side] = value;
      state[`l${side}`] = "";
      update();
    }));
    if (!state[side]) {
      replace(made.top, picker);
      made.status.textContent = "";
      made.list.box.hidden = true;
      return made;
    }
    const data = await modelFile(state[side]);
    if (!current()) return made;
    made.data = data;
    made.list.box.hidden = false;
    const begun = performance.now();
    const { f, found, rows } = rowsOf(made.data, state[`l${side}`]);
    Object.assign(made, { f, found });
    replace(made.top, picker, strip(made.data, side, f));
    made.list.set(rows);
    made.status.textContent = `${rows.length} of ${made.data.unit.length} neurons`;
    made.box.dataset.milliseconds = (performance.now() - begun).toFixed(1);
    return made;
  }

  function controls(data) {
    const set = (key) => (value) => { state[key] = value; update(); };
    const words = element("datalist", { id: "words" }, ...study.words.map((word) => element("option", { value: word })));
    const search = element("input", {
      type: "search", id: "search", value: state.q || "", placeholder: "dog, crimson, falling …", autocomplete: "off",
      oninput: (event) => {
        state.q = event.target.value;
        state.sort = "";
        order.value = "match";
        update();
      },
    });
    search.setAttribute("list", "words");
    const sure = element("input", { type: "checkbox", checked: state.sig === "1", onchange: (event) => set("sig")(event.target.checked ? "1" : "") });
    const least = element("input", { type: "number", step: "any", value: state.min || "", oninput: (event) => set("min")(event.target.value) });
    const has = (key) => ["match", "score", "place"].includes(key) || data[key];
    const order = select(ORDERS.filter(([key]) => has(key)), state.sort || "match", set("sort"));
    return element("form", { className: "controls", onsubmit: (event) => event.preventDefault() },
      labelled("Search a word", search), words,
      labelled("Label by", select(data.functions.map((f) => [f, plain(f)]), state.fn || data.functions[0], set("fn"))),
      labelled("Category", select([["", "every category"], ...study.categories.map((c) => [c.name, plain(c.name)])], state.cat || "", set("cat"))),
      labelled("Sort by", order),
      labelled("Least score", least),
      data.q_value ? labelled(`q ≤ ${study.alpha} by ${plain(data.functions[0])}`, sure) : null);
  }

  function legend() {
    return element("ul", { className: "legend", "aria-label": "Categories" }, ...study.categories.map((category) =>
      element("li", {}, element("span", { className: "dot", style: { background: category.color } }), plain(category.name))));
  }

  let turn = 0;
  async function update() {
    const own = ++turn;
    const current = () => alive() && own === turn;
    changed(state);
    for (const side of ["a", "b"]) {
      try {
        await fill(side, current);
      } catch (error) {
        if (current()) failed(side, error);
      }
      if (!current()) return;
    }
  }

  function failed(side, error) {
    panes[side].list.set([]);
    panes[side].status.textContent = String(error.message);
  }

  const first = await modelFile(state.a);
  if (!alive()) return;
  panes.a = panes.b = undefined;
  main.replaceChildren(controls(first), legend(), element("div", { className: "panes" }, pane("a").box, pane("b").box));
  await update();
  if (!alive()) return;
  const asked = /^([ab])(\d+)$/.exec(state.n || "");
  if (asked && panes[asked[1]].data && Number(asked[2]) < panes[asked[1]].data.unit.length) open(asked[1], Number(asked[2]));
};
