// What all parts share: loading of data, the state in the address, and making of elements.
"use strict";

const strata = (() => {
  const values = new Map();
  const waiting = new Map();

  // Data files are scripts that call this: a page from a disk may not fetch anything else.
  function take(name, value) {
    values.set(name, value);
    const resolve = waiting.get(name);
    if (resolve) resolve(value);
  }

  const known = (name) => values.has(name);
  const loading = new Map();
  function load(name, file) {
    if (values.has(name)) return Promise.resolve(values.get(name));
    if (!loading.has(name)) {
      loading.set(name, new Promise((resolve, reject) => {
        waiting.set(name, resolve);
        const script = document.createElement("script");
        script.src = file;
        script.onerror = () => {
          loading.delete(name);
          reject(new Error(`${file} cannot be read`));
        };
        document.head.append(script);
      }));
    }
    return loading.get(name);
  }

  // The state lies behind the # of the address, so that every view is a link.
  function read() {
    return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  }
  function write(state) {
    const kept = Object.entries(state).filter(([, value]) => value !== "" && value != null);
    const hash = "#" + new URLSearchParams(kept);
    if (hash !== location.hash) history.replaceState(null, "", hash);
  }

  function setStyle(made, key, value) {
    if (key.startsWith("--")) made.style.setProperty(key, value);
    else made.style[key] = value;
  }

  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name === "style") for (const key of Object.keys(value)) setStyle(made, key, value[key]);
      else if (name === "dataset") Object.assign(made.dataset, value);
      else if (name in made && !name.includes("-")) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child != null));
    return made;
  }

  function labelled(text, control) {
    return element("label", {}, element("span", {}, text), control);
  }

  function select(options, value, onchange) {
    const made = element("select", { onchange: () => onchange(made.value) });
    for (const [key, text] of options) made.append(element("option", { value: key }, text));
    made.value = value;
    return made;
  }

  // What is made anew keeps the keyboard where it was.
  function replace(box, ...children) {
    const controls = () => [...box.querySelectorAll("select, button, input")];
    const at = controls().indexOf(document.activeElement);
    box.replaceChildren(...children.filter((child) => child != null));
    if (at >= 0) controls()[at]?.focus();
  }

  const number = (value, digits = 2) => (value == null ? "–" : value.toFixed(digits));
  const layerName = ([, block]) => (block === 0 ? "input" : `block ${block}`);
  const plain = (text) => text.replace(/_/g, " ").replace("=", ": ");

  return { take, known, load, read, write, element, labelled, select, replace, number, layerName, plain };
})();
