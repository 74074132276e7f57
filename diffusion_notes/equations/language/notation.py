r"""What the letters of notation.md mean, said in the book's own notation wherever it can be said there.

A letter that is defined by an expression is defined here by that expression, so a page that defines it differently is
found out.
"""

from __future__ import annotations

from functools import cache

from diffusion_notes.equations.language.parser import read_whole
from diffusion_notes.equations.language.syntax_tree import ESTIMATE, Node, Range, Symbol

__all__ = ["OF_THE_STEP", "STEPPED", "is_index_letter", "is_new_noise", "may_be_new", "meaning"]

_VAE = {
    "calL": r"\mathbb{E}_{q(z \mid x)}[\log p(x, z) - \log q(z \mid x)]",
    "calL K": r"\mathbb{E}_{z^1, \dots, z^K \sim q(z \mid x)}"
    r"\Bigl[\log \frac{1}{K} \sum_{k=1}^{K} \frac{p(x, z^k)}{q(z^k \mid x)}\Bigr]",
    "calL_beta": r"\mathbb{E}_{q(z \mid x)}[\log p(x \mid z)] - \beta D_{KL}(q(z \mid x) \Vert p(z))",
    "calL free": r"\mathbb{E}_{q(z)}[\log p(x, z) - \log q(z)]",
    "L_vlb": r"\mathbb{E}_{q(z \mid x)}[\log q(z \mid x) - \log p(x, z)]",
    "L_ce": r"-\log p(x)",
    "H": r"H(q(x))",
}
_HVAE = {
    "calL": r"\mathbb{E}_{q(z_1, z_2 \mid x)}[\log p(x, z_1, z_2) - \log q(z_1, z_2 \mid x)]",
    "calL free": r"\mathbb{E}_{q(z_1, z_2)}[\log p(x, z_1, z_2) - \log q(z_1, z_2)]",
    "L_vlb": r"\mathbb{E}_{q(z_1, z_2 \mid x)}[\log q(z_1, z_2 \mid x) - \log p(x, z_1, z_2)]",
    "L_ce": r"-\log p(x)",
    "H": r"H(q(x))",
}
_CHAIN = {
    "calL": r"\mathbb{E}_{q(x_{1:T} \mid x_0)}[\log p(x_{0:T}) - \log q(x_{1:T} \mid x_0)]",
    "L": r"\mathbb{E}_{q(x_{1:T} \mid x_0)}[\log q(x_{1:T} \mid x_0) - \log p(x_{0:T})]",
    "L_vlb": r"\mathbb{E}_{q(x_{1:T} \mid x_0)}[\log q(x_{1:T} \mid x_0) - \log p(x_{0:T})]",
    "L_ce": r"-\log p(x_0)",
    "L first": r"\mathbb{E}_{q(x_1 \mid x_0)}[-\log p(x_0 \mid x_1)]",
    "L last": r"D_{KL}(q(x_T \mid x_0) \Vert p(x_T))",
    "L between": r"\mathbb{E}_{q(x_t \mid x_0)} D_{KL}(q(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))",
    "L drawn first": r"-\log p(x_0 \mid x_1)",
    "L drawn last": r"D_{KL}(q(x_T \mid x_0) \Vert p(x_T))",
    "L drawn between": r"D_{KL}(q(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))",
    "eps_step": r"\frac{x_t - \sqrt{\alpha_t}\, x_{t-1}}{\sqrt{\beta_t}}",
    "eps_whole": r"\frac{x_t - \sqrt{\bar\alpha_t}\, x_0}{\sqrt{1 - \bar\alpha_t}}",
    "alpha_part": r"\sqrt{\bar\alpha_t}",
    "sigma_part": r"\sqrt{1 - \bar\alpha_t}",
    "L_simple": r"\frac{1}{T} \sum_{t=1}^{T} \mathbb{E}_{x_0, \varepsilon}"
    r"\lVert \varepsilon - \varepsilon_\theta(x_t, t) \rVert^2",
    "L_simple step": r"\mathbb{E}_{x_0, \varepsilon} \lVert \varepsilon - \varepsilon_\theta(x_t, t) \rVert^2",
    "w": r"\frac{\beta_t^2}{2 \sigma_t^2 \alpha_t (1 - \bar\alpha_t)}",
    "C": r"D_{KL}(\mathcal{N}(0, \tilde\beta_t I) \Vert \mathcal{N}(0, \sigma_t^2 I))",
    "C first": r"\frac{D}{2} \log 2 \pi \sigma_1^2",
    "v": r"\sqrt{\bar\alpha_t}\, \varepsilon - \sqrt{1 - \bar\alpha_t}\, x_0",
    "ell": r"\mathbb{E}_{x_0, x_t} \lVert \varepsilon - \mathbb{E}[\varepsilon \mid x_t] \rVert^2",
    "H": r"H(q(x_0))",
    "hat x": r"\frac{x_t - \sqrt{1 - \bar\alpha_t}\, \varepsilon_\theta(x_t, t)}{\sqrt{\bar\alpha_t}}",
    "mu_q": r"\tilde\mu_t(x_t, x_0)",
    "sigma_q": r"\sqrt{\tilde\beta_t}",
    "Sigma_q": r"\tilde\beta_t I",
    "Sigma_theta": r"\sigma_t^2 I",
}
_DDPM = {
    **_CHAIN,
    "f_theta": r"\sqrt{\bar\alpha_{t-1}}\, x_\theta(x_t, t) + \sqrt{1 - \bar\alpha_{t-1}}\, \varepsilon_\theta(x_t, t)",
}
_SAMPLERS = {
    **{name: latex for name, latex in _CHAIN.items() if name not in ("C", "C first")},
    "calL": r"\mathbb{E}_{q_\sigma(x_{1:T} \mid x_0)}[\log p(x_{0:T}) - \log q_\sigma(x_{1:T} \mid x_0)]",
    "L": r"\mathbb{E}_{q_\sigma(x_{1:T} \mid x_0)}[\log q_\sigma(x_{1:T} \mid x_0) - \log p(x_{0:T})]",
    "L_vlb": r"\mathbb{E}_{q_\sigma(x_{1:T} \mid x_0)}[\log q_\sigma(x_{1:T} \mid x_0) - \log p(x_{0:T})]",
    "L drawn between": r"D_{KL}(q_\sigma(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))",
    "L between": r"\mathbb{E}_{q(x_t \mid x_0)} D_{KL}(q_\sigma(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))",
    "w": r"\frac{1}{2 \sigma_t^2} \Bigl( \sqrt{\frac{\bar\alpha_{t-1} (1 - \bar\alpha_t)}{\bar\alpha_t}}"
    r" - \sqrt{1 - \bar\alpha_{t-1} - \sigma_t^2} \Bigr)^2",
    "y": r"\frac{x_t}{\sqrt{\bar\alpha_t}}",
    "kappa": r"\sqrt{\frac{1 - \bar\alpha_t}{\bar\alpha_t}}",
}
_SCORE = {
    **_CHAIN,
    **{name: _SAMPLERS[name] for name in ("y", "kappa")},
    "lambda": r"\log \frac{\bar\alpha_t}{1 - \bar\alpha_t}",
    "tau": r"\frac{\kappa_t}{1 + \kappa_t}",
    "x tau": r"(1 - \tau)\, y_t",
    "v": r"\varepsilon - x_0",
}
_GIVEN = {
    **{name: latex for name, latex in _CHAIN.items() if name != "v"},
    **{name: _SCORE[name] for name in ("kappa", "lambda")},
}
_GUIDED = {**_GIVEN, "eps_w": r"(1 - w)\, \varepsilon_\theta(x_t, t) + w\, \varepsilon_\theta(x_t, t, c)"}
_OBSERVED = {
    **_GIVEN,
    "W": r"\frac{p_\theta(x_{t-1} \mid x_t)\, \tilde p(y \mid x_{t-1})}"
    r"{\tilde p(y \mid x_t)\, \tilde p(x_{t-1} \mid x_t, y)}",
}
_SIGNALS = {**_GIVEN, "z": r"\Sigma^{-1/2} (x_t - \mu)"}
OF_THE_STEP = ("mu_q", "sigma_q", "Sigma_q", "Sigma_theta")
"""The mean and the variance of the posterior, and of a step down: of the step t, and of x_t and x_0."""

STEPPED = ("w", "C", "ell", "y", "kappa", "lambda", "tau", "W", "eps_step", "eps_whole", "alpha_part", "sigma_part",
           *OF_THE_STEP)  # fmt: skip
"""Of these names the index is the step that their expression is about."""

MEANINGS = {
    "vae": _VAE, "hvae": _HVAE, "diffusion": _CHAIN, "ddpm": _DDPM, "samplers": _SAMPLERS, "score": _SCORE,
    "conditioning": _OBSERVED, "guidance": _GUIDED, "signals": _SIGNALS,
}  # fmt: skip

WHITENED = ("signals",)
"""The chapters in which z_t is x_t measured from the prior."""

NEW_Z = ("samplers", "score", "conditioning", "guidance")
"""The chapters in which z, without an index, is new noise that a display draws."""

DATA = {"vae": "x", "hvae": "x"}
"""How a chapter writes a data point, if not as x_0."""


@cache
def meaning(context: str, name: str, averaged: bool = False) -> Node | None:
    """The expression that a name stands for, or nothing.

    Args:
        context: The chapter.
        name: A key of the tables above.
        averaged: Whether the data are averaged over.
    """
    latex = MEANINGS[context].get(name)
    if latex is None:
        return None
    if averaged:
        latex = rf"\mathbb{{E}}_{{q({DATA.get(context, 'x_0')})}}\bigl[ {latex} \bigr]"
    return read_whole(f"1 = {latex}").statements[0].sides[1]


def is_index_letter(symbol: Symbol) -> bool:
    """Letters that count: they are bound by a sum, a product or an average over steps."""
    return symbol.base in ("t", "s", "i", "j", "k", "l") and not (symbol.accent or symbol.index or symbol.label)


def is_new_noise(symbol: Symbol, context: str) -> bool:
    r"""Whether it is a noise with a name of its own, which makes one variable: ε_{t-1}, \bar ε, ε', z.

    The plain ε is another one: it is what makes x_t of x_0.
    """
    if DATA.get(context, "x_0") != "x_0" or symbol.label or isinstance(symbol.index, Range):
        return False
    if symbol.base == "eps":
        return symbol.accent in ("", "bar", "prime", "star") and symbol != Symbol("eps")
    own = context in WHITENED or (context in NEW_Z and symbol.index is None)
    return symbol.base == "z" and not symbol.accent and not symbol.copy and not own


TAKEN = {
    *("x", "y", "z", "u", "n", "eps", "alpha", "beta", "mu", "sigma", "Sigma", "kappa", "phi", "theta"),
    *("L", "calL", "C", "D", "H", "I", "K", "T", "e", "f", "g", "p", "pi", "q", "s", "t", "v", "w"),
}
"""Letters that everybody uses for the same things: what a page says of them is a claim."""


def may_be_new(node: Node) -> bool:
    """Whether a page may say by a mere = what a letter, or a function, is to mean: with an accent any may be new."""
    if node.kind not in ("symbol", "call"):
        return False
    symbol: Symbol = node.value if node.kind == "symbol" else node.value[0]
    if symbol.base in ("L", "calL") and symbol.label and symbol.index is None:
        return symbol.label not in ("vlb", "elbo", "vae", "simple", "ce", "theta", "phi")
    if symbol.base in ("mu", "beta", "sigma", "Sigma", "eps", "L", "calL") or " " in symbol.base or symbol == ESTIMATE:
        return False
    return symbol.base not in TAKEN or symbol.accent not in ("", "bar")
