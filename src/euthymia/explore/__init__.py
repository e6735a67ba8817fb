"""The explorer: a local page on which a person moves the numbers of a protocol and watches virtual patients respond.

`regimen` tells which numbers can be moved and writes the changed document, `respond` simulates it under its rules,
`uncertain` says how sure that is, `views` answers the page, `server` runs it all on this machine alone. The page itself
is `page.html`, `explore.css` and `explore.js` with what that imports; nothing in it comes from elsewhere.
"""
