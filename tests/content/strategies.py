"""HTML and mail text as strangers send it, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

_TAGS = (
    "a b blockquote br code dd del details div dl dt em font form h1 h3 hr i iframe img li math o:p ol p pre script select span "
    "style summary svg table tbody td template textarea tfoot th thead title tr ul xmp"
)
TAGS = _TAGS.split()
ATTRIBUTES = (
    ' class="gmail_quote"',
    ' class="language-c++ x"',
    ' class="quote"',
    ' class="signature"',
    ' href="http://a.example/?q=1&amp;r=2"',
    " href=' java\nscript:alert(1)'",
    ' href="javascript:alert(1)"',
    ' href="blob:' + "0" * 64 + '"',
    ' href="data:text/html,x"',
    " onclick=alert(1)",
    ' src="http://t.example/p.png" width=1 height=1',
    ' src="http://t.example/p.png" alt="a > b"',
    ' src="cid:one"',
    ' src="blob:' + "a" * 64 + '"',
    ' style="background:url(http://t.example)"',
    ' type="cite"',
    ' start="7"',
    ' title="\'&quot;<b>"',
    ' dir="RTL"',
    ' id="divRplyFwdMsg"',
    ' "',
    " =",
    "/",
    ' alt="',
)
PHRASES = (
    "On Mon, 1 Jan 2024 at 10:00, Ana <ana@a.example> wrote:",
    "Am 01.01.2024 um 10:00 schrieb Ana:",
    "-----Original Message-----",
    "---------- Forwarded message ---------",
    "From: Ana <ana@a.example>",
    "Sent: Monday",
    "To: Ben",
    "Subject: the pump",
    "-- ",
    "--",
    "________________",
    "Sent from my iPhone",
    "Begin forwarded message:",
    "wrote:",
    "```",
    "diff --git a/x b/x",
    ">>> print(1)",
    "| a | b |",
    "\u00a0",
    "http://a.example/(x).",
)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
tags = st.builds(
    lambda slash, name, attributes, end: f"<{slash}{name}{''.join(attributes)}{end}",
    st.sampled_from(["", "", "/"]),
    st.sampled_from(TAGS),
    st.lists(st.sampled_from(ATTRIBUTES), max_size=3),
    st.sampled_from([">", ">", ">", ">", "/>", ""]),
)
scraps = st.sampled_from(
    ["<!--", "-->", "<![if !mso]>", "<![endif]>", "<", ">", "&amp", "&#0;", "&#13;", "&#x1;", "\n", "\x00", "\x0c"]
)
html = st.lists(st.one_of(words, tags, tags, scraps, st.sampled_from(PHRASES)), max_size=25).map("".join)
lines = st.builds(
    lambda mark, text: mark + text,
    st.sampled_from(["", "", "", "> ", ">", ">> ", "> > > ", " > ", "| ", "AB> ", "    ", "\t"]),
    st.one_of(words, st.sampled_from(PHRASES)),
)
texts = st.lists(lines, max_size=20).map("\n".join)
