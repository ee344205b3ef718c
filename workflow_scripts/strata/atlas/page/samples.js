// Pictures from sheets, sounds to listen to.
"use strict";

strata.samples = (folder, told) => {
  const { element } = strata;
  const perSheet = told && told.columns ? told.columns ** 2 : 1;

  function picture(place, side) {
    const scale = side / told.side;
    const on = place % perSheet;
    const [x, y] = [on % told.columns, Math.floor(on / told.columns)];
    const rows = Math.min(told.columns, Math.ceil((told.text.length - (place - on)) / told.columns));
    return element("span", {
      className: "picture",
      role: "img",
      "aria-label": told.text[place],
      title: told.text[place],
      style: {
        width: `${side}px`,
        height: `${side}px`,
        backgroundImage: `url("${folder}/sheet${Math.floor(place / perSheet)}.jpg")`,
        backgroundPosition: `${-x * side}px ${-y * side}px`,
        backgroundSize: `${told.columns * told.side * scale}px ${rows * side}px`,
      },
    });
  }

  let playing = null;
  function sound(place) {
    const name = told.text[place];
    return element("button", {
      type: "button",
      className: "sound",
      title: `Listen: ${name}`,
      onclick: (event) => {
        event.stopPropagation();
        if (playing) playing.pause();
        playing = new Audio(`${folder}/${told.files[place]}`);
        playing.play();
      },
    }, `▶ ${name}`);
  }

  return {
    any: Boolean(told) && (told.modality === "audio" || told.modality === "image"),
    sounds: Boolean(told) && told.modality === "audio",
    text: (place) => told.text[place],
    show: (place, side = 48) => (told.modality === "audio" ? sound(place) : picture(place, side)),
  };
};
