// Points in a plane, coloured by a value, drawn by plotly. Depends on nothing of the page.

const INVISIBLE = "rgba(0,0,0,0)";
const NARROW = 500; // pixels
const LONGEST = 24; // letters of a label

/** Leave out what plotly would read as HTML: a formula has no need of it. */
export function plain(text) {
  const clean = text.replace(/[<>&]/g, "");
  return clean.length > LONGEST ? `${clean.slice(0, LONGEST - 1)}…` : clean;
}

/** Choose the rows that are drawn: all, or every second, third, …. */
export function someRows(total, most) {
  const step = Math.max(1, Math.ceil(total / most));
  return Array.from({ length: Math.ceil(total / step) }, (_, place) => place * step);
}

/**
 * Draw points, and some of them marked.
 *
 * `points` has `x`, `y`, `value` and `text` of n points; `marked` the same of points with a ring, without values; `star`
 * one point with a `label` and `text`, or null. `words` are `{value, x, y}`: what colour bar and axes say. `theme` has the
 * colours `ink`, `line`, `grid`, `mark` and `halo`.
 */
export async function drawScatter(Plotly, element, { points, marked, star, words }, theme) {
  const sorted = [...points.value].sort((p, q) => p - q);
  const quantile = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const axis = (title) => ({ title: { text: title }, zeroline: false, gridcolor: theme.grid, automargin: true });
  const bar = { title: { text: words.value, side: "right" }, thickness: 14, outlinewidth: 0 };
  const isNarrow = element.clientWidth < NARROW;
  if (element.dataset.narrow !== String(isNarrow)) Plotly.purge(element); // plotly keeps the margins of the other layout
  element.dataset.narrow = isNarrow;
  const above = { ...bar, title: { text: words.value, side: "top" }, orientation: "h", y: 1.02, yanchor: "bottom" };
  const traces = [
    {
      type: "scatter",
      mode: "markers",
      name: "points",
      x: points.x,
      y: points.y,
      text: points.text,
      hovertemplate: "%{text}<extra></extra>",
      marker: {
        size: 6,
        color: points.value,
        cmin: quantile(0.02), // a few extreme values would take all the colours
        cmax: quantile(0.98),
        colorscale: "Cividis",
        opacity: 0.85,
        line: { width: 0.7, color: theme.line }, // dark colours are seen on a dark ground, and light ones on a light one
        colorbar: isNarrow ? above : bar,
      },
    },
  ];
  if (marked.x.length) {
    traces.push({
      type: "scatter",
      mode: "markers",
      name: "marked",
      x: marked.x,
      y: marked.y,
      text: marked.text,
      hovertemplate: "%{text}<extra></extra>",
      marker: { size: 13, symbol: "circle-open", color: theme.ink, line: { width: 2 } },
    });
  }
  if (star) {
    traces.push({
      type: "scatter",
      mode: "markers+text",
      name: "star",
      x: [star.x],
      y: [star.y],
      text: [star.label],
      textposition: "top center",
      textfont: { size: 17, color: theme.ink, weight: 700, shadow: "auto" },
      hovertemplate: `${star.text}<extra></extra>`,
      marker: { size: 18, symbol: "star", color: theme.mark, line: { width: 1.5, color: theme.halo } },
    });
  }
  const layout = {
    font: { family: "inherit", size: 14, color: theme.ink },
    paper_bgcolor: INVISIBLE,
    plot_bgcolor: INVISIBLE,
    margin: { l: 10, r: 10, t: 10, b: 10 },
    xaxis: axis(words.x),
    yaxis: axis(words.y),
    showlegend: false,
    hovermode: "closest",
    dragmode: "pan",
  };
  await Plotly.react(element, traces, layout, { displayModeBar: false, responsive: true, scrollZoom: false });
}
