// Code and tables that are wider than the page get the focus, so that the arrow keys scroll them.
document$.subscribe(() => {
  for (const block of document.querySelectorAll("pre > code, .md-typeset__scrollwrap, .md-typeset__table")) {
    if (block.scrollWidth > block.clientWidth) {
      block.tabIndex = 0
    }
  }
})
