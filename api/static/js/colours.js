// Light or dark at once, without leaving the page and what is drawn on it; without this the links do the same.

for (const link of document.querySelectorAll(".choices a[href*='theme=']")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.documentElement.dataset.theme = new URLSearchParams(link.search).get("theme");
    for (const other of link.parentElement.children) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    fetch(link.href, { redirect: "manual", keepalive: true }).catch(() => {}); // the choice is kept for the next page, if one can be told
  });
}
