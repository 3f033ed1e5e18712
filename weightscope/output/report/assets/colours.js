// Which classes colour a tile, and the legend that says so.
(function (ws) {
  "use strict";

  const { sets, kinds, findings } = ws.data;
  const dtypes = [...new Set(sets.map((set) => set.dtype))].sort((a, b) => bytesOf(b) - bytesOf(a));
  const SEVERITIES = Object.keys(ws.nouns);
  const WORDS = { ...ws.nouns, none: "nothing found", mixed: "several" };

  function bytesOf(dtype) {
    const all = sets.filter((set) => set.dtype === dtype).flatMap((set) => set.bytes);
    return all.reduce((sum, each) => sum + each, 0);
  }

  const hue = (dtype) => `hue-${Math.min(dtypes.indexOf(dtype), 9)}`;

  function dtypeClass(node) {
    const own = [...new Set(node.shares.map((each) => each.set.dtype))];
    return own.length === 1 ? hue(own[0]) : "hue-mixed";
  }

  function severityClass(node) {
    const own = new Set(ws.findingsOf(node).map((place) => findings[place].severity));
    return `severity-${SEVERITIES.find((severity) => own.has(severity)) || "none"}`;
  }

  ws.colours = function (node, by) {
    if (by === "dtype") return [dtypeClass(node)];
    if (by === "finding") return [severityClass(node)];
    return [`component-${node.kind.component}`];
  };

  ws.legend = function (by) {
    const entries = {
      component: () => [...new Set(kinds.map((kind) => kind.component))].map((name) => [`component-${name}`, name]),
      dtype: () => [
        ...dtypes.map((dtype) => [hue(dtype), dtype || "no weights here"]),
        ...(dtypes.length > 1 ? [["hue-mixed", WORDS.mixed]] : []),
      ],
      finding: () => [...SEVERITIES, "none"].map((severity) => [`severity-${severity}`, WORDS[severity]]),
    };
    return entries[by]().map(([name, text]) =>
      ws.element("li", {}, ws.element("span", { class: `swatch ${name}`, "aria-hidden": "true" }), text),
    );
  };
})((window.weightscope = window.weightscope || {}));
