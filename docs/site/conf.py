"""How Sphinx makes the site of the pages that `build.py` has put together."""

project = "Billing gateway"
author = "The authors of the billing gateway"
extensions = ["myst_parser"]
root_doc = "index"
html_theme = "furo"
html_title = "Billing gateway"
html_show_copyright = False
html_extra_path = ["llms.txt"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#4f46e5", "color-brand-content": "#4f46e5"},
    "dark_css_variables": {"color-brand-primary": "#a9a4ff", "color-brand-content": "#a9a4ff"},
}
myst_heading_anchors = 4  # as GitHub makes them, so that a link is the same in the file and on the site
highlight_language = "text"
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # JSON with an ellipsis
