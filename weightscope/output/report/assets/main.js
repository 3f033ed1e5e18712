// The start: what was static until now can be opened, searched and coloured.
(function (ws) {
  "use strict";

  const { view } = ws;
  const trail = document.getElementById("trail");
  const legend = document.getElementById("legend");
  const measure = document.getElementById("measure");
  const colour = document.getElementById("colour");

  ws.heard.opened.push((node) => {
    const path = ws.path(node);
    trail.replaceChildren(
      ...path.map((each, place) =>
        ws.element(
          "li",
          {},
          place === path.length - 1
            ? ws.element("span", { "aria-current": "location" }, each.label)
            : ws.element("button", { type: "button", on: { click: () => ws.open(each, path[place + 1]) } }, each.label),
        ),
      ),
    );
  });

  function dress() {
    view.colour = colour.value;
    legend.replaceChildren(...ws.legend(view.colour));
    ws.draw();
  }

  measure.addEventListener("change", () => {
    view.measure = measure.value;
    ws.draw();
    ws.choose(view.chosen || view.open);
  });
  colour.addEventListener("change", dress);

  // What nothing tells cannot be drawn.
  for (const option of measure.options) option.disabled = !ws.root[option.value];
  const first = [...measure.options].find((option) => !option.disabled);
  if (first) measure.value = view.measure = first.value;

  document.getElementById("explorer").hidden = false;
  dress();
  for (const hear of ws.heard.opened) hear(view.open);
  ws.choose(ws.root);
  let drawn = null;
  new ResizeObserver(() => {
    cancelAnimationFrame(drawn);
    drawn = requestAnimationFrame(ws.draw);
  }).observe(document.getElementById("map"));
  document.documentElement.dataset.ready = "yes";
})((window.weightscope = window.weightscope || {}));
