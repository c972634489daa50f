// Switches between light and dark without a reload, which would lose the drawing; without scripts the links work too.

for (const link of document.querySelectorAll(".choices a[href*='theme=']")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.documentElement.dataset.theme = new URLSearchParams(link.search).get("theme");
    for (const other of link.parentElement.children) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    fetch(link.href, { redirect: "manual", keepalive: true }).catch(() => {}); // stores the choice for the next page, if the service answers
  });
}
