// A sign-in link: its code comes in the fragment of the address, which the browser has sent to nobody.

document.querySelector("#code").value = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
