// What is compressed in the page.

/** Return the bytes of a block. */
export async function unpack(name) {
  const text = document.getElementById(`data-${name}`).textContent;
  const binary = atob(text);
  const packed = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) packed[place] = binary.charCodeAt(place);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Return the JSON document of a block. */
export async function unpackJson(name) {
  return JSON.parse(new TextDecoder().decode(await unpack(name)));
}

/** Run the library, which is in the page as text. */
export async function loadLibrary() {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpack("library"));
  document.getElementById("data-library").remove();
  document.head.append(script);
  return window.Plotly;
}
