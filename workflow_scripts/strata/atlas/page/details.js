// All that is known of one neuron.
"use strict";

strata.details = (study, samples, model, data, row, { open, close }) => {
  const { element, replace, number, layerName, plain } = strata;
  const dialog = document.getElementById("details");
  const word = (index) => (index < 0 ? "no label" : plain(study.words[index]));
  const where = (at) => `${layerName(data.layers[data.layer[at]])}, neuron ${data.unit[at]}`;

  function histogram() {
    const bars = data.spread[row];
    if (!bars) return null;
    const heights = [...bars].map((letter) => parseInt(letter, 36) / 35);
    const width = 100 / heights.length;
    const drawn = heights.map((height, i) =>
      `<rect x="${i * width}" y="${30 - 30 * height}" width="${width * 0.85}" height="${30 * height}"/>`);
    const box = element("div", { className: "histogram" });
    box.innerHTML = `<svg viewBox="0 0 100 30" preserveAspectRatio="none" role="img"
      aria-label="Histogram of the activations">${drawn.join("")}</svg>`;
    box.append(element("div", { className: "ends" },
      element("span", {}, number(data.low[row])), element("span", {}, number(data.high[row]))));
    return element("section", {}, element("h3", {}, "Activations"), box);
  }

  function facts() {
    const told = [];
    const say = (name, value, hint = "") => told.push(
      element("div", { title: hint }, element("dt", {}, name), element("dd", {}, value)));
    data.functions.forEach((name, f) => say(plain(name), element("span", {},
      `${word(data.label[f][row])} (${number(data.score[f][row])})`), "label by this function, its score"));
    if (data.q_value) say("q-value", number(data.q_value[row], 3), "of the first function's label, by permutation");
    if (data.margin) say("margin", number(data.margin[row], 3), "score less the runner-up's");
    if (data.stability) say("stability", number(data.stability[row]), "share of halves of the pictures with the same label");
    if (data.runners && data.runners[row].length) say("runners-up", data.runners[row].map(word).join(", "));
    if (data.clarity) {
      say("clarity", number(data.clarity[row]), "mean cosine between its top pictures (SemanticLens)");
      say("polysemanticity", number(data.polysemanticity[row]), "1 less the cosine of two clusters' centres (SemanticLens)");
      const twin = data.twin[row];
      say("redundancy", twin < 0 ? "–" : element("button", { type: "button", className: "link", onclick: () => open(twin) },
        `${number(data.redundancy[row])}: ${where(twin)}`), "cosine to the nearest neuron of the layer (SemanticLens)");
    }
    return element("dl", {}, ...told);
  }

  const main = data.label[0][row];
  const top = data.top ? data.top[row] : [];
  const low = data.sign && data.sign[row] < 0; // a label of low activation
  replace(dialog,
    element("form", { method: "dialog" },
      element("button", { className: "close", "aria-label": "Close" }, "✕")),
    element("h2", { id: "details-title" }, word(main)),
    element("p", { className: "quiet" }, `${model}, ${where(row)}`),
    top.length && samples.any ? element("section", {}, element("h3", {}, low ? "What activates it least" : "What activates it most"),
      element("div", { className: "shown" }, ...top.map((place) => samples.show(place, 96)))) : null,
    facts(),
    data.spread ? histogram() : null,
  );
  dialog.onclose = close;
  if (!dialog.open) dialog.showModal();
  dialog.querySelector(".close").focus();
};
