// The treemap: a button for each part of what is open, with the parts of that drawn inside it.
(function (ws) {
  "use strict";

  const MOST = 800; // tiles of one level; the rest is one tile together
  const INNER = 1200; // tiles inside tiles, in all
  const HEADER = 20; // pixels for a tile's name above what is in it

  const map = document.getElementById("map");
  const view = { open: ws.root, measure: "parameters", colour: "component" };
  ws.view = view;
  ws.heard = { opened: [], chosen: [] };

  const amount = (node) => node[view.measure] || 0;

  // The parts of a node, largest first; what is too many to draw is one part more.
  function parts(node, most) {
    const all = node.children().filter((child) => amount(child) > 0);
    all.sort((a, b) => amount(b) - amount(a));
    if (all.length <= most) return all;
    const rest = all.slice(most);
    const total = (measure) => rest.reduce((sum, each) => sum + (each[measure] || 0), 0);
    const more = { level: "more", label: `${ws.exact(rest.length)} more`, parent: node, shares: [], key: `${node.key}/…` };
    for (const measure of ["parameters", "bytes", "tensors"]) more[measure] = total(measure);
    more.kind = rest[0].kind;
    more.children = () => [];
    return [...all.slice(0, most), more];
  }

  function laidOut(width, height) {
    const outer = parts(view.open, MOST);
    const inner = outer.map((child) => (child.level === "more" ? [] : parts(child, INNER)));
    const fits = inner.reduce((sum, each) => sum + each.length, 0) <= INNER;
    const tree = {
      children: outer.map((child, place) => ({
        node: child,
        children: fits && inner[place].length > 1 ? inner[place].map((each) => ({ node: each })) : undefined,
      })),
    };
    const hierarchy = window.d3.hierarchy(tree).sum((item) => (item.node && !item.children ? amount(item.node) : 0));
    const layout = window.d3
      .treemap()
      .size([width, height])
      .paddingInner(2)
      .paddingOuter((item) => (item.depth === 1 && item.children ? 2 : 0))
      .paddingTop((item) => (item.depth === 1 && item.children ? HEADER : 0));
    return layout(hierarchy).children || [];
  }

  function placed(tile, box, within) {
    const [width, height] = [within.x1 - within.x0, within.y1 - within.y0];
    tile.style.left = `${((box.x0 - within.x0) / width) * 100}%`;
    tile.style.top = `${((box.y0 - within.y0) / height) * 100}%`;
    tile.style.width = `${((box.x1 - box.x0) / width) * 100}%`;
    tile.style.height = `${((box.y1 - box.y0) / height) * 100}%`;
  }

  ws.amountText = function (node) {
    if (view.measure === "bytes") return ws.size(amount(node));
    return view.measure === "tensors" ? ws.plural(amount(node), "tensor") : ws.short(amount(node));
  };

  ws.shareOf = (node) => (amount(ws.root) ? amount(node) / amount(ws.root) : 0);

  // What a screen reader says of a tile.
  function spoken(node) {
    const unit = view.measure === "parameters" ? " parameters" : "";
    const findings = ws.findingsOf(node).length;
    const wrong = findings ? `, ${ws.plural(findings, "finding")}` : "";
    return `${node.label}, ${ws.amountText(node)}${unit}, ${ws.percent(ws.shareOf(node))}${wrong}`;
  }

  function words(node, width, height) {
    if (width < 34 || height < 16) return [];
    const shown = [ws.element("span", { class: "tile-name" }, node.label)];
    if (height > 34 && width > 60) shown.push(ws.element("span", { class: "tile-amount" }, ws.amountText(node)));
    return [ws.element("span", { class: "tile-words", "aria-hidden": "true" }, ...shown)];
  }

  function dressed(tile, node) {
    tile.classList.add(...ws.colours(node, view.colour));
    return tile;
  }

  function tileOf(box, whole, place) {
    const node = box.data.node;
    const said = ws.element("span", { class: "spoken" }, spoken(node));
    const tile = ws.element("button", { type: "button", class: "tile", tabindex: place ? "-1" : "0" }, said);
    tile.node = node;
    dressed(tile, node);
    placed(tile, box, whole);
    const [width, height] = [box.x1 - box.x0, box.y1 - box.y0];
    if (!box.children) tile.append(...words(node, width, height));
    else {
      tile.classList.add("holds");
      const name = width > 34 ? [ws.element("span", { class: "tile-name" }, node.label)] : [];
      if (width > 130) name.push(ws.element("span", { class: "tile-amount" }, ws.amountText(node)));
      tile.append(ws.element("span", { class: "tile-head", "aria-hidden": "true" }, ...name));
      for (const inner of box.children) {
        const small = ws.element("span", { class: "tile inner", "aria-hidden": "true" });
        dressed(small, inner.data.node);
        placed(small, inner, box);
        small.append(...words(inner.data.node, inner.x1 - inner.x0, inner.y1 - inner.y0));
        tile.append(small);
      }
    }
    return tile;
  }

  ws.draw = function () {
    const { width, height } = map.getBoundingClientRect();
    if (!width || !height) return;
    const focused = map.contains(document.activeElement) ? document.activeElement.node : null;
    const boxes = laidOut(width, height);
    const whole = { x0: 0, y0: 0, x1: width, y1: height };
    map.replaceChildren(...boxes.map((box, place) => tileOf(box, whole, place)));
    if (!boxes.length) map.append(ws.element("p", { class: "empty" }, "Nothing here has any size of this kind."));
    for (const tile of ws.tiles()) {
      tile.classList.toggle("chosen", tile.node === view.chosen);
      if (focused && tile.node.key === focused.key) ws.focus(tile);
    }
  };

  ws.tiles = () => [...map.querySelectorAll("button.tile")];

  const divides = (node) => parts(node, 2).length > 1;

  // Open a node: draw its parts, or where it has one part alone those of that; of what has none, choose it where it is.
  ws.open = function (node, focused) {
    let target = node;
    while (!divides(target) && parts(target, 2).length) target = parts(target, 2)[0];
    if (!divides(target)) {
      target = node.parent || node;
      while (target.parent && !divides(target)) target = target.parent;
    } else node = target;
    view.open = target;
    ws.draw();
    for (const hear of ws.heard.opened) hear(view.open);
    ws.choose(node);
    const path = ws.path(focused || node).map((each) => each.key);
    const tile = ws.tiles().find((each) => path.includes(each.node.key)) || ws.tiles()[0];
    if (tile) ws.focus(tile);
  };

  ws.focus = function (tile) {
    for (const other of ws.tiles()) other.tabIndex = other === tile ? 0 : -1;
    tile.focus({ preventScroll: true });
  };

  ws.choose = function (node) {
    view.chosen = node;
    for (const tile of ws.tiles()) tile.classList.toggle("chosen", tile.node === node);
    for (const hear of ws.heard.chosen) hear(node);
  };

  ws.leave = function () {
    const left = view.open;
    let above = left.parent;
    while (above && !divides(above)) above = above.parent;
    if (above) ws.open(above, left);
  };

  map.addEventListener("click", (event) => {
    const tile = event.target.closest("button.tile");
    if (tile && tile.node.level !== "more") ws.open(tile.node);
  });
})((window.weightscope = window.weightscope || {}));
