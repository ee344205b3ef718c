// Uses the atlas as a reader would, and writes down what was there. Runs behind the page's scripts.
"use strict";

(async () => {
  const told = { errors: window.errors };
  const all = (selector, box = document) => [...box.querySelectorAll(selector)];
  const text = (selector) => document.querySelector(selector)?.textContent ?? null;
  const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

  async function until(fact) {
    for (let i = 0; i < 400; i++) {
      if (fact()) return;
      await pause();
    }
    throw new Error(`waited in vain: ${fact}`);
  }

  function control(name) {
    const label = all("label").find((one) => one.firstChild.textContent === name);
    return label.querySelector("input, select");
  }

  async function change(name, value) {
    const field = control(name);
    const event = field.tagName === "SELECT" || field.type === "checkbox" ? "change" : "input";
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
    field.dispatchEvent(new Event(event, { bubbles: true }));
    await pause();
    await pause();
  }

  const press = (box, key) => box.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const rows = () => all(".list:not([hidden]) .row b").map((one) => one.textContent);
  const places = () => all(".list:not([hidden]) .row .quiet:nth-child(2)").map((one) => one.textContent);

  async function serious() {
    const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
      .map((one) => `${one.id}: ${one.nodes[0].html}`);
  }

  async function neurons() {
    await until(() => rows().length);
    told.title = document.title;
    told.status = text(".status");
    told.drawn = rows().length;
    told.pictures = all(".row .picture").length;
    await change("Sort by", "place");
    told.places = places();
    await change("Search a word", "red");
    told.found = rows();
    told.counted = text(".status");
    told.address = location.hash;
    await change("Search a word", "");
    await change(document.querySelector("[type=checkbox]").parentElement.firstChild.textContent, true);
    told.sure = text(".status");
    told.doubtful = all(".row .quiet:nth-child(3)").map((one) => one.textContent);
    await change(document.querySelector("[type=checkbox]").parentElement.firstChild.textContent, false);
    await change("Sort by", "score");
    const list = document.querySelector(".list");
    list.focus();
    press(list, "ArrowDown");
    press(list, "ArrowDown");
    told.active = document.getElementById(list.getAttribute("aria-activedescendant")).getAttribute("aria-posinset");
    told.second = rows()[1];
    press(list, "Enter");
    told.opened = text("dialog[open] h2");
    told.facts = all("dialog dt").map((one) => one.textContent);
    told.bars = all("dialog rect").length;
    told.link = location.hash;
    told.nulls = all("dialog").map((one) => one.textContent).filter((all) => all.includes("null"));
    told.focus = document.activeElement.className;
    told.dialog = await serious();
    document.querySelector("dialog .close").click();
    await until(() => !document.querySelector("dialog[open]"));
    await change("Compare with", control("Compare with").options[2].value);
    await until(() => all(".list:not([hidden])").length === 2);
    told.panes = all(".status").map((one) => one.textContent);
    all(".strip")[0].querySelectorAll("button")[1].click();
    await pause();
    told.layer = [...new Set(places().slice(0, 5).map((place) => place.split(" · ")[0]))];
  }

  // Files that come late or not at all must not put one model's numbers under another's name.
  async function late() {
    await until(() => rows().length);
    const models = [...control("Model").options].map((one) => one.value);
    const [first, second] = [places().join(), models[1]];
    const append = document.head.append.bind(document.head);
    document.head.append = (script) => setTimeout(() => append(script), 300);
    control("Model").value = second;
    control("Model").dispatchEvent(new Event("change"));
    await change("Model", models[0]);
    await new Promise((resolve) => setTimeout(resolve, 600));
    told.same = control("Model").value === models[0] && places().join() === first;
    document.head.append = (script) => { script.src = "none.js"; append(script); };
    await change("Model", models[2]);
    await until(() => text(".status").includes("cannot be read"));
    told.left = rows().length;
    told.errors = told.errors.filter((one) => !one.includes("none.js"));
  }

  async function late_layers() {
    await until(() => all("caption").length);
    const models = [...control("Model").options].map((one) => one.value);
    const shown = () => all("td").map((one) => one.textContent).join();
    const first = shown();
    const append = document.head.append.bind(document.head);
    document.head.append = (script) => setTimeout(() => append(script), 300);
    await change("Model", models[1]);
    told.meanwhile = all("td").length;
    await change("Model", models[0]);
    await new Promise((resolve) => setTimeout(resolve, 600));
    told.same = control("Model").value === models[0] && shown() === first;
    document.head.append = (script) => { script.src = "none.js"; append(script); };
    await change("Model", models[2]);
    await until(() => text("[role=alert]")?.includes("cannot be read"));
    told.left = all("td").length;
    await change("Model", models[0]);
    told.back = shown() === first;
    told.errors = told.errors.filter((one) => !one.includes("none.js"));
  }

  async function layers() {
    await until(() => all("caption").length);
    told.captions = all("caption").map((one) => one.textContent);
    told.cells = all("td").map((one) => one.textContent).filter(Boolean).length;
    told.near = all(".near .picture, .near .sound").length;
    await change("Sort by", "gain");
    told.sorted = all("main section:nth-of-type(2) tbody th").map((one) => one.textContent);
    told.address = location.hash;
  }

  try {
    const steps = { neurons, layers, late, late_layers, link: async () => {
      await until(() => document.querySelector("dialog[open]"));
      told.opened = text("dialog[open] h2");
    } };
    await steps[window.steps]();
    told.serious = await serious();
  } catch (error) {
    told.errors.push(String(error));
  }
  const box = document.createElement("pre");
  box.id = "told";
  box.textContent = JSON.stringify(told);
  document.body.append(box);
})();
