// The treemap by keyboard: arrows go to the nearest tile that way, Escape or Backspace goes back.
(function (ws) {
  "use strict";

  const map = document.getElementById("map");
  const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function middle(tile) {
    const box = tile.getBoundingClientRect();
    return [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  }

  // The nearest tile on that side; what is aside of the way counts twice.
  function nearest(from, [dx, dy]) {
    const [x, y] = middle(from);
    let best = null;
    let least = Infinity;
    for (const tile of ws.tiles()) {
      const [tx, ty] = middle(tile);
      const along = (tx - x) * dx + (ty - y) * dy;
      if (tile === from || along <= 0.5) continue;
      const distance = along + 2 * Math.abs((tx - x) * dy + (ty - y) * dx);
      if (distance < least) [best, least] = [tile, distance];
    }
    return best;
  }

  map.addEventListener("keydown", (event) => {
    const tile = event.target.closest("button.tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const tiles = ws.tiles();
    let next = null;
    if (event.key in WAYS) next = nearest(tile, WAYS[event.key]);
    else if (event.key === "Home") next = tiles[0];
    else if (event.key === "End") next = tiles[tiles.length - 1];
    else if (event.key === "Escape" || event.key === "Backspace") ws.leave();
    else return;
    event.preventDefault();
    if (next) {
      ws.focus(next);
      ws.choose(next.node);
    }
  });
})((window.weightscope = window.weightscope || {}));
