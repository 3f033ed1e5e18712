// Elements of the page. Text goes in as text, so nothing that a file says is ever markup.
(function (ws) {
  "use strict";

  ws.element = function (tag, settings, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(settings || {})) {
      if (value === null || value === undefined) continue;
      if (name === "class") made.className = value;
      else if (name === "on") for (const [event, heard] of Object.entries(value)) made.addEventListener(event, heard);
      else made.setAttribute(name, value);
    }
    for (const child of children.flat()) {
      if (child === null || child === undefined || child === "") continue;
      made.append(typeof child === "string" ? document.createTextNode(ws.visible(child)) : child);
    }
    return made;
  };

  // A list of terms and what is said of each.
  ws.definitions = function (pairs) {
    const rows = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined);
    return ws.element("dl", {}, rows.flatMap(([term, value]) => [ws.element("dt", {}, term), ws.element("dd", {}, value)]));
  };
})((window.weightscope = window.weightscope || {}));
