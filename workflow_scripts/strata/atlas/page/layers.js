// Studies 2 and 3: convexity by concept and layer, judgements, cuts, and what lies near a sample.
"use strict";

strata.layers = async (main, name, study, state, changed, alive) => {
  const own = ++strata.layers.turn;
  const { element, labelled, select, replace, known, load, number, layerName, plain } = strata;
  const samples = strata.samples(name, study.samples);
  const models = new Map(study.models);
  if (!models.has(state.a)) state.a = study.models[0][0];
  const again = () => {
    changed(state);
    strata.layers(main, name, study, state, changed, alive);
  };
  const choice = () => element("form", { className: "controls" },
    labelled("Model", select(study.models, state.a, (value) => { state.a = value; again(); })));
  const current = () => alive() && own === strata.layers.turn;
  const file = `${name}/${state.a}`;
  // Under the name of a model that is still to come stand no numbers of the one before.
  if (!known(file)) replace(main, choice(), element("p", { role: "status" }, "Loading"));
  let data;
  try {
    data = await load(file, `${name}/model-${encodeURIComponent(state.a)}.js`);
  } catch (error) {
    if (current()) replace(main, choice(), element("p", { role: "alert" }, String(error.message)));
    return;
  }
  if (!current()) return;
  const families = Object.keys(data.families || {});
  if (!families.includes(state.family)) state.family = families[0] || "";
  const heads = () => data.layers.map((layer) => element("th", { scope: "col", title: layer[0] }, layerName(layer)));

  // Light to dark blue; the number stands in it, so that no one needs the colour.
  function cell(value, title = "") {
    const share = value == null ? 0 : Math.max(0, Math.min(1, value));
    return element("td", {
      title, className: share > 0.72 ? "dark" : "", style: { "--share": share },
    }, number(value));
  }

  function averages() {
    const rows = families.map((family) => {
      const own = data.families[family];
      return element("tr", {}, element("th", { scope: "row" }, plain(family)), ...own.mean.map((value, i) =>
        cell(value, own.low[i] == null ? "" : `${number(own.low[i])} to ${number(own.high[i])}`)));
    });
    return table("Graph convexity of concept families, by layer", "Family", rows);
  }

  function table(caption, first, rows) {
    return element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": caption },
      element("table", {}, element("caption", {}, caption),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, first), ...heads())),
        element("tbody", {}, ...rows)));
  }

  const ORDERS = { name: "name", last: "last layer", first: "first layer", gain: "gain with depth" };
  function concepts() {
    const own = data.families[state.family];
    const key = {
      name: null, last: (row) => row.at(-1), first: (row) => row[0], gain: (row) => row.at(-1) - row[0],
    }[state.sort || "last"];
    const rows = [...own.concepts];
    if (key) rows.sort((x, y) => key(y[1]) - key(x[1]));
    return element("section", {},
      element("h2", {}, "Concepts"),
      element("form", { className: "controls" },
        labelled("Family", select(families.map((f) => [f, plain(f)]), state.family, (value) => { state.family = value; again(); })),
        labelled("Sort by", select(Object.entries(ORDERS), state.sort || "last", (value) => { state.sort = value; again(); }))),
      table(`Graph convexity of each ${plain(state.family)}, by layer`, plain(state.family), rows.map(([concept, values]) =>
        element("tr", {}, element("th", { scope: "row" }, concept), ...values.map((value) => cell(value))))));
  }

  function judgements() {
    const rows = Object.entries(data.judgements).map(([triplets, own]) =>
      element("tr", {}, element("th", { scope: "row" }, plain(triplets)), ...own.mean.map((value, i) =>
        cell(value, `${number(own.low[i])} to ${number(own.high[i])}; ceiling ${number(own.ceiling[i])}`))));
    return element("section", {}, element("h2", {}, "Odd-one-out judgements"),
      table("Odd-one-out accuracy, by layer", "Judgements", rows));
  }

  function cuts() {
    const rows = data.cuts.map((cut) => element("tr", {},
      element("th", { scope: "row" }, plain(cut.family)), element("td", {}, plain(cut.criterion)),
      element("td", {}, cut.kept === "none" ? "none" : cut.kept.split(" ").map((n) => Number(n) + 1).join(" ")),
      element("td", {}, cut.accuracy ? `${number(cut.accuracy[0])} (${number(cut.accuracy[1])} to ${number(cut.accuracy[2])})` : "–")));
    return element("section", {}, element("h2", {}, "Cuts"),
      element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "Cuts" }, element("table", {},
        element("caption", {}, "What each criterion keeps, and the fine-tuned accuracy"),
        element("thead", {}, element("tr", {}, ...["Task", "Criterion", "Blocks kept", "Accuracy"].map((text) =>
          element("th", { scope: "col" }, text)))),
        element("tbody", {}, ...rows))));
  }

  function neighbors() {
    const at = Math.min(Number(state.sample) || 0, data.neighbors.length - 1);
    const [own, near] = data.neighbors[at];
    const options = data.neighbors.map(([place], i) => [String(i), samples.text(place)]);
    const rows = data.layers.map((layer, i) => element("tr", {},
      element("th", { scope: "row", title: layer[0] }, layerName(layer)),
      element("td", { className: "shown" }, ...near[i].map((place) => samples.show(place, 64)))));
    return element("section", {}, element("h2", {}, "What lies near a sample"),
      element("form", { className: "controls" },
        labelled("Sample", select(options, String(at), (value) => { state.sample = value; again(); }))),
      element("p", { className: "shown" }, samples.show(own, 96)),
      element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "Nearest neighbors" },
        element("table", { className: "near" }, element("caption", {}, "Its nearest neighbors, the nearest first"),
          element("tbody", {}, ...rows))));
  }

  changed(state);
  replace(main,
    choice(),
    ...(families.length ? [element("section", {}, element("h2", {}, "Layers"), averages()), concepts()] : []),
    ...(data.judgements ? [judgements()] : []),
    ...(data.cuts ? [cuts()] : []),
    ...(samples.any ? [neighbors()] : []));
};
strata.layers.turn = 0;
