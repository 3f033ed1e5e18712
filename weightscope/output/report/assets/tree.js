// The tree that the treemap draws: component, role, layer, tensor. Children are made when they are asked for.
(function (ws) {
  "use strict";

  const { kinds, sets } = ws.data;

  // Some of a set's tensors that hold one role: all of them, those of a layer, or one. `at` narrows each range.
  function share(set, place, ranges) {
    const tensors = ranges.reduce((product, runs) => product * ws.count(runs), 1);
    const of = (amounts) => (amounts ? (amounts[place] * tensors) / set.tensors : null);
    return { set, place, ranges, tensors, parameters: of(set.parameters), bytes: of(set.bytes) };
  }

  function sum(shares, measure) {
    return shares.reduce((total, each) => (total === null || each[measure] === null ? null : total + each[measure]), 0);
  }

  function node(level, label, parent, shares, split) {
    const made = { level, label, parent, shares, key: parent ? `${parent.key}/${label}` : "" };
    for (const measure of ["parameters", "bytes"]) made[measure] = sum(shares, measure);
    // A fused tensor is a share of several roles, and still one tensor.
    made.tensors = [...new Map(shares.map((each) => [each.set, each.tensors])).values()].reduce((a, b) => a + b, 0);
    made.kind = kinds[shares.length ? shares[0].set.kind : 0];
    let children = null;
    made.children = () => (children = children || (split ? split(made) : []));
    return made;
  }

  function grouped(items, key) {
    const found = new Map();
    for (const item of items) {
      const name = key(item);
      if (!found.has(name)) found.set(name, []);
      found.get(name).push(item);
    }
    return [...found];
  }

  function components(root) {
    return grouped(root.shares, (each) => kinds[each.set.kind].component).map(([name, shares]) =>
      node("component", name, root, shares, roles),
    );
  }

  function roles(component) {
    return grouped(component.shares, (each) => kinds[each.set.kind].roles[each.place]).map(([name, shares]) =>
      node("role", name, component, shares, shares.length === 1 && shares[0].tensors === 1 ? null : layers),
    );
  }

  // What a role holds in each layer; several stacks of layers have their names before the number.
  function layers(role) {
    const stacks = new Set(role.shares.map((each) => kinds[each.set.kind].stack));
    const found = new Map();
    for (const each of role.shares) {
      const { layer, stack } = kinds[each.set.kind];
      if (layer === null) {
        for (const one of tensors({ shares: [each], key: "" })) found.set(one.label, one.shares);
        continue;
      }
      for (const number of ws.numbers(each.ranges[layer])) {
        const ranges = each.ranges.map((runs, place) => (place === layer ? [[number, number]] : runs));
        const label = stacks.size > 1 ? `${stack} ${number}` : `layer ${number}`;
        if (!found.has(label)) found.set(label, []);
        found.get(label).push(share(each.set, each.place, ranges));
      }
    }
    return [...found].map(([label, shares]) =>
      node("layer", label, role, shares, shares.length === 1 && shares[0].tensors === 1 ? null : tensors),
    );
  }

  function tensors(parent) {
    return parent.shares.flatMap((each) => {
      const { template } = kinds[each.set.kind];
      return combinations(each.ranges).map((ranges) =>
        node("tensor", ws.title(template, ranges), parent, [share(each.set, each.place, ranges)], null),
      );
    });
  }

  function combinations(ranges) {
    return ranges.reduce(
      (heads, runs) => heads.flatMap((head) => ws.numbers(runs).map((number) => [...head, [[number, number]]])),
      [[]],
    );
  }

  const whole = sets.flatMap((set) => kinds[set.kind].roles.map((_, place) => share(set, place, set.ranges)));
  ws.root = node("model", "all", null, whole, components);

  ws.path = function (from) {
    const found = [];
    for (let each = from; each; each = each.parent) found.unshift(each);
    return found;
  };

  // The findings that name tensors of a node.
  ws.findingsOf = function (of) {
    const found = new Set();
    for (const each of of.shares) {
      const { layer } = kinds[each.set.kind];
      for (const [place, runs] of each.set.findings) {
        const own = layer === null ? null : each.ranges[layer];
        const meets = ([a, b]) => own.some(([first, last]) => a <= last && b >= first);
        if (!runs || !own || runs.some(meets)) found.add(place);
      }
    }
    return [...found].sort((a, b) => a - b);
  };
})((window.weightscope = window.weightscope || {}));
