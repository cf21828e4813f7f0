// While a map is moved, as many points are drawn as there is time for; all of them again when it rests.
// Without a graphics card 100,000 points take up to half a second, which is too long for each movement of the hand.

const FRAME_MS = 30; // that drawing may take while the map moves
const FEW = 5000; // points that are always drawn
const FEW_ALIKE = 500; // likewise, of one colour or of a selection
const REST_MS = 250; // after the last turn of the wheel; plotly is done with it by then

/** Return plotly's drawing of the points, or null: its public interface lacks it, and another version may as well. */
function sceneOf(plot) {
  const scene = plot._fullLayout?._plots?.xy?._scene;
  return scene?.scatter2d?.groups && scene.selectBatch && scene.unselectBatch ? scene : null;
}

function drawAgain(plot) {
  plot._fullLayout._glcanvas.each(({ regl }) => regl?.clear({ color: [0, 0, 0, 0], depth: 1 }));
  sceneOf(plot)?.draw();
}

/** Return the milliseconds that a drawing of all points takes: the answer for a pixel comes after it. */
function measured(plot) {
  const { gl } = sceneOf(plot).scatter2d;
  const start = performance.now();
  drawAgain(plot);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return performance.now() - start;
}

/** Draw fewer points while a plot of `total` points in random order is moved, if all of them would be slow. */
export function thinWhileMoving(plot, total) {
  if (total <= FEW || sceneOf(plot) === null) return;
  const share = Math.max(FRAME_MS / measured(plot), FEW / total);
  if (share >= 1) return;
  const fewer = (count) => Math.max(Math.ceil(share * count), Math.min(count, FEW_ALIKE));
  const undo = []; // what draws all of them again
  let rest = null;

  function thin() {
    const scene = sceneOf(plot);
    if (undo.length > 0 || scene === null) return;
    const take = (holder, key, less) => {
      const all = holder[key];
      holder[key] = less;
      undo.push(() => { if (holder[key] === less) holder[key] = all; }); // unless plotly has put something else there
    };
    for (const group of scene.scatter2d.groups) if (group) take(group, "count", fewer(group.count));
    for (const batch of [scene.selectBatch, scene.unselectBatch]) {
      batch.forEach((rows, place) => { if (rows) take(batch, place, rows.slice(0, fewer(rows.length))); });
    }
  }

  function restore() {
    for (const step of undo.splice(0)) step();
  }

  // in the phase that comes before plotly hears of it, which draws once more when a drag ends
  plot.addEventListener("pointerdown", () => { if (plot._fullLayout.dragmode === "pan") thin(); }, true);
  for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, restore, true);
  plot.addEventListener("wheel", () => {
    thin();
    clearTimeout(rest);
    rest = setTimeout(() => {
      restore();
      drawAgain(plot);
    }, REST_MS);
  }, { capture: true, passive: true });
}
