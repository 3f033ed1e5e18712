// The model's tensors, as the page holds them: kinds with ranges of numbers, from which names are made when asked for.
(function (ws) {
  "use strict";

  ws.data = JSON.parse(document.getElementById("data").textContent);

  // All numbers of runs such as [[0, 2], [5, 5]].
  ws.numbers = function (runs) {
    const found = [];
    for (const [first, last] of runs) for (let n = first; n <= last; n++) found.push(n);
    return found;
  };

  ws.count = (runs) => runs.reduce((sum, [first, last]) => sum + last - first + 1, 0);

  ws.spell = (runs) => runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(",");

  // The text before, between and after a template's numbers; its own braces are doubled.
  function pieces(template) {
    return template.split("{}").map((piece) => piece.replaceAll("{{", "{").replaceAll("}}", "}"));
  }

  // The names of a set, with runs of numbers in braces where there are several.
  ws.title = function (template, ranges) {
    const [first, ...rest] = pieces(template);
    return rest.reduce((text, piece, place) => {
      const numbers = ws.spell(ranges[place] || []);
      return text + (/^\d+$/.test(numbers) ? numbers : `{${numbers}}`) + piece;
    }, first);
  };

  // Every name that a template stands for, the last number running fastest.
  ws.names = function (template, ranges) {
    const [first, ...rest] = pieces(template);
    return rest.reduce(
      (heads, piece, place) => {
        const tails = ws.numbers(ranges[place] || []).map((n) => n + piece);
        return heads.flatMap((head) => tails.map((tail) => head + tail));
      },
      [first],
    );
  };
})((window.weightscope = window.weightscope || {}));
