// Pictures: reduced before the upload, and shown from data URLs.

/** Longest sides to try, in pixels, until the picture is small enough. */
const SIDES = [1280, 960, 640, 320];
/** Maximum length of a picture in base64. The service accepts bodies of 1 MiB. */
const LIMIT = 900_000;

/** Returns a file as a JPEG in base64. */
export async function encode(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error("This file is not a picture that the browser can read.");
  }
  for (const side of SIDES) {
    const scale = Math.min(1, side / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const context = canvas.getContext("2d");
    // A JPEG has no transparency.
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const encoded = canvas.toDataURL("image/jpeg", 0.82).split(",")[1];
    if (encoded && encoded.length <= LIMIT) {
      return encoded;
    }
  }
  throw new Error("This picture is too large.");
}

const TYPES = [["/9j/", "jpeg"], ["iVBOR", "png"], ["R0lGOD", "gif"], ["UklGR", "webp"]];

/** Returns the URL of a picture in base64, or null if its type is unknown. */
export function url(encoded) {
  const type = TYPES.find(([start]) => encoded.startsWith(start))?.[1];
  return type ? `data:image/${type};base64,${encoded}` : null;
}
