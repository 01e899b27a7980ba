// Zoom, panning and search of the graph.
"use strict";
{
  const drawing = document.getElementById("drawing");
  const search = document.getElementById("search");
  /** The visible part of the picture; `undefined` shows all of it. */
  let view;

  const picture = () => drawing?.querySelector("svg");

  /** All of the picture, which is not enlarged: a small one is in the middle. */
  function whole(svg) {
    const [width, height] = ["width", "height"].map((name) => Number(svg.getAttribute(name)));
    const { clientWidth, clientHeight } = drawing;
    const scale = Math.min(clientWidth / width, clientHeight / height, 1);
    const visible = { width: clientWidth / scale, height: clientHeight / scale };
    return { x: (width - visible.width) / 2, y: Math.min(0, (height - visible.height) / 2), ...visible };
  }

  function show() {
    const svg = picture();
    if (!svg) return;
    const { x, y, width, height } = view ?? whole(svg);
    svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  }

  /** Zooms around a point of the screen. */
  function zoom(factor, clientX, clientY) {
    const svg = picture();
    const matrix = svg.getScreenCTM().inverse();
    const point = new DOMPoint(clientX, clientY).matrixTransform(matrix);
    const { x, y, width, height } = view ?? whole(svg);
    const limited = Math.min(Math.max(width * factor, 200), whole(svg).width * 2) / width;
    view = { x: point.x - (point.x - x) * limited, y: point.y - (point.y - y) * limited, width: width * limited, height: height * limited };
    show();
  }

  function pan(dx, dy) {
    const svg = picture();
    const scale = svg.getScreenCTM().a;
    const { x, y, width, height } = view ?? whole(svg);
    view = { x: x - dx / scale, y: y - dy / scale, width, height };
    show();
  }

  function find() {
    const wanted = search.value.trim().toLowerCase();
    drawing.classList.toggle("searching", wanted !== "");
    for (const box of drawing.querySelectorAll("g.box")) {
      const text = `${box.dataset.urn ?? ""} ${box.textContent}`.toLowerCase();
      box.classList.toggle("found", wanted !== "" && text.includes(wanted));
    }
  }

  if (drawing) {
    document.getElementById("zoom").hidden = false;
    drawing.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, event.clientX, event.clientY);
    }, { passive: false });

    const pointers = new Map();
    let moved = false;
    drawing.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pointers.set(event.pointerId, event);
      moved = false;
    });
    window.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
      if (!moved && Math.hypot(dx, dy) < 4) return;
      moved = true;
      drawing.classList.add("dragging");
      if (pointers.size === 2) {
        const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
        const distance = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        zoom(distance(last) / Math.max(distance(event), 1), other.clientX, other.clientY);
      } else {
        pan(dx, dy);
      }
      pointers.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      window.addEventListener(end, (event) => {
        pointers.delete(event.pointerId);
        drawing.classList.remove("dragging");
      });
    }
    // The end of a movement is no selection of a box.
    drawing.addEventListener("click", (event) => { if (moved) event.preventDefault(); }, true);
    drawing.addEventListener("dragstart", (event) => event.preventDefault());

    document.getElementById("zoom").addEventListener("click", (event) => {
      const { left, top, width, height } = drawing.getBoundingClientRect();
      const centre = [left + width / 2, top + height / 2];
      switch (event.target.dataset.zoom) {
        case "in": zoom(1 / 1.4, ...centre); break;
        case "out": zoom(1.4, ...centre); break;
        case "fit": view = undefined; show(); break;
      }
    });
    search.addEventListener("input", find);
    document.addEventListener("updated", () => { show(); find(); });
    window.addEventListener("resize", show);
    show();
  }
}
