"""The page of `warpkit play`: any installed transform, bent by hand in the browser.

`server.py` starts it, `app.py` has its addresses, `guard.py` keeps strangers out. A request says all there is
(`asked.py`), and `scene.py` answers it with what `wk.warp` computes. The page itself is in `static/`.
"""
