// Which study is shown; the rest of the address is the study's own.
"use strict";

(async () => {
  const { element, known: loaded, load, read, write } = strata;
  const main = document.getElementById("main");
  const studies = await load("", "studies.js");
  const known = new Map(studies);
  const dialog = document.getElementById("details");
  let turn = 0;

  // What is asked for later may be there sooner: only the last view may be drawn.
  async function show() {
    const own = ++turn;
    const alive = () => own === turn;
    dialog.onclose = null;
    dialog.close();
    const state = read();
    if (!known.has(state.study)) state.study = studies[0][0];
    for (const link of document.querySelectorAll("#studies a")) {
      if (link.dataset.study === state.study) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${known.get(state.study)} – Strata atlas`;
    if (!loaded(state.study)) main.replaceChildren(element("p", { role: "status" }, "Loading"));
    try {
      const study = await load(state.study, `${state.study}/study.js`);
      const view = study.words ? strata.neurons : strata.layers;
      const changed = (now) => { if (alive()) write(now); };
      if (alive()) await view(main, state.study, study, state, changed, alive);
    } catch (error) {
      if (alive()) main.replaceChildren(element("p", { role: "alert" }, String(error.message || error)));
      throw error;
    }
  }

  document.getElementById("studies").append(...studies.map(([name, title]) =>
    element("a", { href: `#study=${encodeURIComponent(name)}`, dataset: { study: name } }, title)));
  addEventListener("hashchange", show);
  await show();
})();
