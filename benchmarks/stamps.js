// Runs in the measured page before anything else, and stamps when it paints what a visitor waits for.
(() => {
  let wanted = null; // selectors of the answer and the maps, and the pattern that an answer's text fits
  let shown = "";
  let penUp = null;
  let last = {}; // when each was painted last, in milliseconds of performance.now()
  let changed = 0;

  const text = () => document.querySelector(wanted.answer)?.textContent ?? "";

  // The next animation frame: the change is on the screen with it.
  function stamp(what) {
    changed = performance.now();
    requestAnimationFrame(() => (last[what] = performance.now()));
  }

  new MutationObserver(() => {
    if (penUp === null || text() === shown) return;
    shown = text();
    if (new RegExp(wanted.pattern).test(shown)) stamp("answer");
  }).observe(document, { subtree: true, childList: true, characterData: true });

  // The event's own stamp: what the page needs to get round to it counts.
  addEventListener("pointerup", (event) => {
    if (wanted) penUp ??= event.timeStamp;
  }, true);

  function mapAt(element) {
    const host = element.getRootNode().host ?? element;
    if (penUp !== null && host.closest(wanted.maps)) stamp("maps");
  }
  // An image's load event does not reach the window.
  document.addEventListener("load", (event) => event.target.tagName === "IMG" && mapAt(event.target), true);
  for (const name of ["putImageData", "drawImage", "fillRect"]) {
    const original = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...args) {
      original.apply(this, args);
      mapAt(this.canvas);
    };
  }

  // The first frame that shows something to draw on.
  (function look() {
    const inside = [...document.querySelectorAll(".st-key-sketchpad *")].map((element) => element.shadowRoot?.querySelector("canvas"));
    if (inside.some((canvas) => canvas?.clientWidth)) stamp("sketchpad");
    else requestAnimationFrame(look);
  })();

  window.bench = {
    sketchpad: () => last.sketchpad,
    wait(selectors) {
      wanted = selectors;
      shown = text();
      penUp = null;
      last = {};
    },
    // Milliseconds from pen-up to the last change of the answer and of the maps, once nothing changes any more.
    times(quiet) {
      const busy = document.querySelector("[data-test-script-state]").dataset.testScriptState !== "notRunning";
      const loading = [...document.images].some((image) => !image.complete);
      const { answer, maps } = last;
      if (!answer || !maps || busy || loading || performance.now() - Math.max(changed, answer, maps) < quiet) return null;
      return { answer: answer - penUp, maps: maps - penUp, at: answer };
    },
  };
})();
