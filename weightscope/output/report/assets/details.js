// What is known of the part that was chosen: its amounts, and its tensors with shape in config terms.
(function (ws) {
  "use strict";

  const MOST = 12; // kinds of tensors that are listed
  const { findings } = ws.data;
  const panel = document.getElementById("details");

  function shape(set, kind) {
    if (!set.shape) return "";
    const numbers = `[${set.shape.map(ws.exact).join(", ")}]`;
    return kind.shape_terms.length ? `${numbers} = [${kind.shape_terms.join(", ")}]` : numbers;
  }

  function tensorItem(each) {
    const kind = ws.data.kinds[each.set.kind];
    const [first, ...comments] = (kind.terms[each.place] || kind.terms[0] || "").split(/ {2,}/);
    return ws.element(
      "li",
      {},
      ws.element("code", { class: "tensor-name" }, ws.title(kind.template, each.ranges)),
      ws.definitions([
        ["Tensors", each.tensors > 1 ? ws.exact(each.tensors) : ""],
        ["Also called", kind.others.map((other) => ws.title(other, each.ranges)).join(", ")],
        ["Role", kind.roles.join(" + ") + (kind.inferred ? " (guessed from the name)" : "")],
        ["Kind", kind.kind === "weight" ? "" : kind.kind],
        ["Shape", shape(each.set, kind)],
        ["Layout", kind.layout],
        ["Dtype", each.set.dtype],
        ["Term", first],
        ["", comments.join("; ")],
        ["Equation", kind.equation === first ? "" : kind.equation],
        ["Notes", kind.notes.join(" ")],
      ]),
    );
  }

  function found(node) {
    const wide = node.level === "model" || node.level === "component"; // the messages stand in their own section
    const items = ws.findingsOf(node).map((place) => {
      const { severity, code, message } = findings[place];
      return ws.element(
        "li",
        {},
        ws.element("a", { href: `#finding-${place}`, class: `badge ${severity}` }, `${ws.nouns[severity]}: ${code}`),
        wide ? "" : ` ${message}`,
      );
    });
    return items.length ? [ws.element("h4", {}, "Findings"), ws.element("ul", { class: "plain" }, items)] : [];
  }

  // What the treemap has of layers that predict further tokens, and the model's total has not.
  const { auxiliary } = ws.data;
  const counted = (number) => (number < 1000 ? ws.exact(number) : `${ws.short(number)} (${ws.exact(number)})`);

  ws.heard.chosen.push((node) => {
    const known = node.parameters !== null;
    const whole = node.level === "model";
    const title = ws.path(node).slice(1).map((each) => each.label);
    // One row a set: a fused tensor is a share of several roles.
    const own = [...new Map(node.shares.map((each) => [each.set, each])).values()];
    const shown = node.level === "model" || node.level === "component" ? [] : own;
    panel.replaceChildren(
      ws.element("h3", {}, title.join(" › ") || ws.data.title),
      ws.definitions([
        ["Parameters", known ? counted(node.parameters - (whole ? auxiliary : 0)) : "unknown"],
        ["Not in it", whole && auxiliary ? `${counted(auxiliary)} of mtp` : ""],
        ["Share", whole ? "" : ws.percent(ws.shareOf(node)) + (auxiliary ? ", mtp included" : "")],
        ["Bytes", node.bytes ? ws.size(node.bytes) : ""],
        ["Tensors", ws.exact(node.tensors)],
        ["Dtype", [...new Set(node.shares.map((each) => each.set.dtype).filter(Boolean))].join(", ")],
      ]),
      ...found(node),
      ws.element("ul", { class: "tensors" }, shown.slice(0, MOST).map(tensorItem)),
      shown.length > MOST ? ws.element("p", {}, `and ${ws.plural(shown.length - MOST, "more kind")}`) : "",
    );
  });
})((window.weightscope = window.weightscope || {}));
