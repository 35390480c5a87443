// The picture of the front page: frames that docs/tools/hero.py has drawn, one at a time. It plays until it is touched,
// and not at all for those who ask their system for less motion.
const STEPS = 15
const TRANSFORMS = [
  ["euclidean", "a turn: θ is an angle and a translation"],
  ["projective", "a homography: θ is a 3 × 3 matrix"],
  ["thin_plate_spline", "a spline: θ moves sixteen control points"],
  ["whirl", "yours: a plugin of ten lines"],
]

const make = (name, properties = {}) => Object.assign(document.createElement(name), properties)

function bend(figure) {
  const panels = make("div", { className: "bend-panels" })
  panels.append(
    make("div", { className: "bend-from", role: "img", ariaLabel: "A photograph, and over it the grid of places that are sampled" }),
    make("div", { className: "bend-to", role: "img", ariaLabel: "What the warp makes of the photograph" }),
  )
  const slider = make("input", { type: "range", min: 0, max: STEPS - 1, ariaLabel: "θ, from one end to the other" })
  const choices = make("div", { className: "bend-choices", role: "group", ariaLabel: "Transforms" })
  const told = make("figcaption")
  const line = make("code")
  const words = make("span")
  const pause = make("button", { type: "button", className: "bend-pause" })
  told.append(line, words)

  let row = 2, column = STEPS - 1, step = -1, timer = 0
  const show = () => {
    figure.style.setProperty("--row", row)
    figure.style.setProperty("--column", column)
    slider.value = column
    line.textContent = `wk.warp(image, "${TRANSFORMS[row][0]}", theta)`
    words.textContent = TRANSFORMS[row][1]
    for (const [i, button] of [...choices.children].entries()) button.setAttribute("aria-pressed", i === row)
  }
  const play = (on) => {
    clearInterval(timer)
    timer = on ? setInterval(forward, 90) : 0
    pause.textContent = on ? "Pause" : "Play"
  }
  const forward = () => {
    if (document.hidden) return
    column += step
    if (column === 0 || column === STEPS - 1) step = -step
    if (step < 0 && column === STEPS - 1) row = (row + 1) % TRANSFORMS.length
    show()
  }

  for (const [i, [name]] of TRANSFORMS.entries()) {
    const button = make("button", { type: "button", textContent: name })
    button.onclick = () => {
      play(false)
      row = i
      if (column === (STEPS - 1) / 2) column = STEPS - 1 // the identity, which shows nothing
      show()
    }
    choices.append(button)
  }
  slider.oninput = () => {
    play(false)
    column = Number(slider.value)
    show()
  }
  const drag = (event) => {
    if (!(event.buttons & 1)) return
    play(false)
    const box = panels.getBoundingClientRect()
    column = Math.max(0, Math.min(STEPS - 1, Math.round(((event.clientX - box.left) / box.width) * (STEPS - 1))))
    show()
  }
  panels.onpointerdown = (event) => {
    panels.setPointerCapture(event.pointerId)
    drag(event)
  }
  panels.onpointermove = drag
  pause.onclick = () => play(!timer)

  const controls = make("div", { className: "bend-controls" })
  controls.append(slider, pause)
  figure.replaceChildren(panels, controls, choices, told)
  figure.classList.add("bend-live")
  show()
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches)
}

for (const figure of document.querySelectorAll(".bend")) bend(figure)
