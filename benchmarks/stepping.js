// Measures the stepper and the labs from inside the page.
(() => {
  const find = (selector, root = document) => {
    const found = root.querySelector(selector);
    if (found) return found;
    for (const element of root.querySelectorAll("*")) {
      const inside = element.shadowRoot && find(selector, element.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  // After the frame has been painted, not before.
  const painted = async () => {
    await frame();
    await new Promise((done) => setTimeout(done));
    return performance.now();
  };

  window.stepping = {
    // Play from the first cell at the highest speed: milliseconds from frame to frame, the first ten left out.
    async play(frames) {
      const pace = find(".pace");
      pace.value = pace.max;
      pace.dispatchEvent(new Event("input"));
      const toggle = find("[data-action=toggle]");
      find("[data-action=first]").click();
      toggle.click();
      const times = [];
      let before = await frame();
      for (let count = 0; count < frames + 10; count++) {
        if (find(".where").textContent.startsWith(`${Number(find(".scrub").max) + 1} `)) find("[data-action=first]").click(), toggle.click();
        const now = await frame();
        if (count >= 10) times.push(now - before);
        before = now;
      }
      toggle.click();
      return times;
    },

    // From a click on a layer's chip until its stage is painted.
    async layers(rounds) {
      const times = [];
      for (let round = 0; round < rounds; round++) {
        for (const chip of find(".chips").children) {
          await painted();
          const began = performance.now();
          chip.click();
          times.push((await painted()) - began);
        }
      }
      return times;
    },

    // From a slider's event until the output with the new bias is painted; and, in turns, the same without a change:
    // what the wait for the next frame takes.
    async slide(times) {
      const box = find("[data-setting=bias]");
      const found = { changed: [], idle: [] };
      for (let count = 0; count < times; count++) {
        for (const kind of ["changed", "idle"]) {
          await painted();
          const began = performance.now();
          if (kind === "changed") {
            box.value = (count % 20) / 10;
            box.dispatchEvent(new Event("input"));
          }
          found[kind].push((await painted()) - began);
        }
      }
      return found;
    },
  };
})();
