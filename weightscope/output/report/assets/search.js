// Search by name, role or component; a number in what is typed searches single tensors.
(function (ws) {
  "use strict";

  const MOST = 40;
  const input = document.getElementById("search");
  const list = document.getElementById("results");
  const said = document.getElementById("search-status");
  const { kinds, sets } = ws.data;
  let waiting = null;

  const roleOf = (component, role) => {
    const found = ws.root.children().find((each) => each.label === component);
    return found && found.children().find((each) => each.label === role);
  };

  // The node of a single tensor, under the first of its roles.
  function nodeOf(set, name) {
    const kind = kinds[set.kind];
    const role = roleOf(kind.component, kind.roles[0]);
    const is = (node) => node.shares.length === 1 && node.tensors === 1 && title(node) === name;
    if (!role || is(role)) return role;
    for (const layer of role.children()) {
      if (is(layer)) return layer;
      const tensor = layer.children().find((each) => each.label === name);
      if (tensor) return tensor;
    }
    return role;
  }

  const title = (node) => ws.title(kinds[node.shares[0].set.kind].template, node.shares[0].ranges);

  // The file's own name, which is the first, and behind it the name that was found.
  const told = (names, place) => (place ? `${names[0]} (${names[place]})` : names[0]);

  function matches(typed) {
    const wanted = typed.toLowerCase();
    const has = (text) => text.toLowerCase().includes(wanted);
    const found = [];
    for (const component of ws.root.children()) {
      if (has(component.label)) found.push({ text: component.label, open: () => component });
      for (const role of component.children())
        if (has(role.label)) found.push({ text: `${component.label} › ${role.label}`, open: () => role });
    }
    const numbered = /\d/.test(wanted);
    for (const set of sets) {
      const { template, others, component, roles } = kinds[set.kind];
      const templates = [template, ...others];
      if (numbered) {
        const names = templates.map((each) => ws.names(each, set.ranges));
        names[0].forEach((name, number) => {
          const own = names.map((each) => each[number]);
          const place = own.findIndex(has);
          if (place >= 0) found.push({ text: told(own, place), open: () => nodeOf(set, name) });
        });
      } else {
        const place = templates.findIndex(has);
        const titles = templates.map((each) => ws.title(each, set.ranges));
        if (place >= 0) found.push({ text: told(titles, place), open: () => roleOf(component, roles[0]) });
      }
    }
    return found;
  }

  function show() {
    const typed = input.value.trim();
    const found = typed ? matches(typed) : [];
    said.textContent = !typed ? "" : `${ws.plural(found.length, "result")}${found.length > MOST ? `, the first ${MOST} shown` : ""}`;
    list.replaceChildren(
      ...found.slice(0, MOST).map(({ text, open }) =>
        ws.element("li", {}, ws.element("button", { type: "button", on: { click: () => ws.open(open()) } }, text)),
      ),
    );
    list.hidden = !found.length;
  }

  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 80);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      input.value = "";
      show();
    } else if (event.key === "Enter" && list.firstElementChild) {
      show();
      list.querySelector("button").click();
    }
  });
})((window.weightscope = window.weightscope || {}));
