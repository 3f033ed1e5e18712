// Numbers as people read them, and what could hide in a name made visible.
(function (ws) {
  "use strict";

  function scaled(number, suffixes) {
    let value = number;
    let place = 0;
    while (value >= (place ? 999.5 : 1000) && place < suffixes.length - 1) {
      value /= 1000;
      place += 1;
    }
    const digits = !place ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return value.toFixed(digits) + suffixes[place];
  }

  ws.short = (number) => scaled(number, ["", " K", " M", " B", " T"]);
  ws.size = (number) => scaled(number, [" B", " kB", " MB", " GB", " TB", " PB"]);
  ws.exact = (number) => number.toLocaleString("en-US");
  ws.plural = (number, noun) => `${ws.exact(number)} ${noun}${number === 1 ? "" : "s"}`;

  ws.percent = function (share) {
    if (share > 0 && share < 0.0005) return "< 0.1 %";
    if (share >= 0.9995 && share < 1) return "> 99.9 %";
    return `${(share * 100).toFixed(1)} %`;
  };

  // What each severity is called, the most severe first.
  ws.nouns = { error: "error", warning: "warning", info: "note" };

  // Controls, marks of direction and what shows nothing, spelled out.
  const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]/gu;
  ws.visible = (text) => text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
})((window.weightscope = window.weightscope || {}));
