# ruff: noqa: E501 the source's own lines
"""The errors of the source that are equations: as they are printed, and as they are right, by their number in the errata.

The printed ones are the source's own characters. Where only a part of a line is wrong, the line is completed.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ERRATA"]


class Entry(NamedTuple):
    """An entry of the errata."""

    number: int
    chapter: str
    printed: str
    right: str


RECONSTRUCTION = r"\mathbb{E}_{q(z_1|x)} [ \log p(x|z_1) ]"
TRACE = r"\frac{\beta_t}{ \sqrt{\alpha_t} \sqrt{1 - \bar{\alpha}_t} }"
PARTS = {
    "L_T": r"\underbrace{D_{KL}(q(x_T|x_0) \Vert p(x_T))}_{L_T}",
    "L_0": r"+ \underbrace{\mathbb{E}_{q(x_1|x_0)}[-\log p_\theta(x_0|x_1)]}_{L_0}",
    "L_{t-1}": r"+ \sum_{t=2}^T \underbrace{\mathbb{E}_{q(x_t|x_0)} D_{KL}(q(x_{t-1}|x_t,x_0) \Vert p_\theta(x_{t-1}|x_t))}_{L_{t-1}}",
}
RATIO = (
    r"\mathbb{E}_{q(x_{t-1},x_t|x_0)} \biggl[ \text{log } \frac{p_{\theta}(x_{t-1}|x_t)}{q(x_{t-1}|x_t,x_0)} \biggr]"
)
PRINTED = {
    27: {"L_0": r"- \underbrace{\mathbb{E}_{q(x_1|x_0)}[\log p_\theta(x_0|x_1)]}_{L_0}"},
    28: {"L_{t-1}": rf"- \sum_{{t=2}}^T \underbrace{{ {RATIO} }}_{{L_{{t-1}}}}"},
    29: {"L_{t-1}": rf"\underbrace{{ - \sum_{{t=2}}^T {RATIO} }}_{{L_{{t-1}}}}"},
}
"""Three errors in one line of the source, each on its own."""

ERRATA = [
    Entry(
        1,
        "vae",
        r"p_{\theta}(x) = \int_{z}p_{\theta}(x|z)p_{\theta}(z)",
        r"p_{\theta}(x) = \int p_{\theta}(x|z)p(z)\, dz",
    ),
    Entry(
        1,
        "vae",
        r"p(x) = \int q_{\phi}(z|x) \frac{p_{\theta}(x|z)p(z)}{q_{\phi}(z|x)}",
        r"p(x) = \int q_{\phi}(z|x) \frac{p_{\theta}(x|z)p(z)}{q_{\phi}(z|x)}\, dz",
    ),
    Entry(
        3,
        "vae",
        r"\mathbb{E}_{q(x)} [ \log p_\theta(x) ] = \mathbb{E}_{x \sim q(x) \text{, } z \sim p(z)} [ \text{log } p_{\theta}(x|z) ]",
        r"\mathbb{E}_{q(x)} [ \log p_\theta(x) ] = \mathbb{E}_{x \sim q(x)} [ \log \mathbb{E}_{z \sim p(z)} [ p_\theta(x|z) ] ]",
    ),
    Entry(
        5,
        "vae",
        r"\log q(x) \geq \mathbb{E}_{z \sim q_{\phi}(z|x)} \left[ \text{log } \frac{p_{\theta}(x|z)p(z)}{q_{\phi}(z|x)} \right]",
        r"\log p_\theta(x) \geq \mathbb{E}_{z \sim q_{\phi}(z|x)} [ \log \frac{p_{\theta}(x|z)p(z)}{q_{\phi}(z|x)} ]",
    ),
    Entry(
        7,
        "hvae",
        r"p(x) = \int_{z_1} \int_{z_2} p_{\theta}(x, z_1, z_2) dz_1, dz_2",
        r"p(x) = \int \int p_{\theta}(x, z_1, z_2)\, dz_1\, dz_2",
    ),
    Entry(
        8,
        "hvae",
        r"p(x) = \int \int q_{\phi}(z_1, z_2|x) \frac{p_{\theta}(x, z_1, z_2)}{q_{\phi}(z_1, z_2|x)}",
        r"p(x) = \int \int q_{\phi}(z_1, z_2|x) \frac{p_{\theta}(x, z_1, z_2)}{q_{\phi}(z_1, z_2|x)}\, dz_1\, dz_2",
    ),
    Entry(
        9,
        "hvae",
        r"""\mathcal{L}(x) = \mathbb{E}_{q(z_1|z_2)} \left[ \text{log }p(x|z_1) \right]
            - \mathbb{E}_{q(z_2|x)} D_{KL}(q(z_1|z_2,x) \Vert p(z_1|z_2)) - D_{KL}(q(z_2|x) \Vert p(z_2))""",
        rf"""\mathcal{{L}}(x) = {RECONSTRUCTION}
            - \mathbb{{E}}_{{q(z_2|x)}} D_{{KL}}(q(z_1|z_2,x) \Vert p(z_1|z_2)) - D_{{KL}}(q(z_2|x) \Vert p(z_2))""",
    ),
    Entry(
        10,
        "hvae",
        rf"""\mathcal{{L}}(x) = {RECONSTRUCTION} - D_{{KL}} \left( q(z_1|x) \mathrel{{\Vert}} p(z_1|x) \right)
            - D_{{KL}}(q(z_2|x) \Vert p(z_2))""",
        rf"""\mathcal{{L}}(x) = {RECONSTRUCTION} - \mathbb{{E}}_{{q(z_2|x)}} D_{{KL}}(q(z_1|z_2,x) \Vert p(z_1|z_2))
            - D_{{KL}}(q(z_2|x) \Vert p(z_2))""",
    ),
    Entry(
        11,
        "hvae",
        rf"""\mathcal{{L}}(x) = {RECONSTRUCTION} - \mathbb{{E}}_{{q(z_2|x)}} D_{{KL}}(q(z_1|z_2,x) \Vert p(z_1|z_2))
            - D_{{KL}} \left( q(z_2|z_1) \mathrel{{\Vert}} p(z_2) \right)""",
        rf"""\mathcal{{L}}(x) = {RECONSTRUCTION} - \mathbb{{E}}_{{q(z_2|x)}} D_{{KL}}(q(z_1|z_2,x) \Vert p(z_1|z_2))
            - D_{{KL}} \left( q(z_2|x) \mathrel{{\Vert}} p(z_2) \right)""",
    ),
    Entry(
        12,
        "hvae",
        r"""\mathcal{L}(x) = \mathbb{E}_{q(z_1|z_2)} \left[ \text{log }p(x|z_1) \right]
            - D_{KL} \left( q(z_1|x) \mathrel{\Vert} p(z_1|x) \right) - D_{KL} \left( q(z_2|z_1) \mathrel{\Vert} p(z_2) \right)""",
        rf"""\mathcal{{L}}(x) = {RECONSTRUCTION} - \mathbb{{E}}_{{q(z_2|x)}} D_{{KL}}(q(z_1|z_2,x) \Vert p(z_1|z_2))
            - D_{{KL}}(q(z_2|x) \Vert p(z_2))""",
    ),
    Entry(
        16,
        "diffusion",
        r"""- \mathcal{L} = \mathbb{E}_{q} \left[ -\text{log }p(x_T)
            - \sum_{t \geq 1}^{T} \text{log } \frac{p_{\theta}(x_{t-1}|x_t)}{q(x_t|x_{t-1})} \right]""",
        r"""- \mathcal{L} = \mathbb{E}_{q} \left[ -\text{log }p(x_T)
            - \sum_{t = 1}^{T} \text{log } \frac{p_{\theta}(x_{t-1}|x_t)}{q(x_t|x_{t-1})} \right]""",
    ),
    Entry(
        19,
        "diffusion",
        r"q(x_t|x_{t-1}) = \mathcal{N}(x_T\mathrel{;} x_{t-1}\sqrt{1 - \beta_{t}}, \beta_{t}I)",
        r"q(x_t|x_{t-1}) = \mathcal{N}(x_t\mathrel{;} x_{t-1}\sqrt{1 - \beta_{t}}, \beta_{t}I)",
    ),
    Entry(
        24,
        "diffusion",
        r"q(x_t|x_{t-1}) = \frac{q(x_{t-1}|x_t,x_0)q(x_t|x_0)}{q(x_{t-1}|x_0)}, \qquad t = 1, \dots, T",
        r"q(x_t|x_{t-1}) = \frac{q(x_{t-1}|x_t,x_0)q(x_t|x_0)}{q(x_{t-1}|x_0)}, \qquad t = 2, \dots, T",
    ),
    *(
        Entry(number, "diffusion", "L = " + " ".join((PARTS | wrong).values()), "L = " + " ".join(PARTS.values()))
        for number, wrong in PRINTED.items()
    ),
    Entry(
        31,
        "diffusion",
        r"-\log \frac{p_{\theta}(x_{t-1}|x_t)}{q(x_{t-1}|x_t,x_0)} = D_{KL}(q(x_{t-1}|x_t,x_0) \Vert p_{\theta}(x_{t-1}|x_t))",
        r"""\mathbb{E}_{q(x_{t-1}|x_t,x_0)} \biggl[ -\log \frac{p_{\theta}(x_{t-1}|x_t)}{q(x_{t-1}|x_t,x_0)} \biggr]
            = D_{KL}(q(x_{t-1}|x_t,x_0) \Vert p_{\theta}(x_{t-1}|x_t))""",
    ),
    Entry(
        35,
        "ddpm",
        r"q(x_{t-1}|x_t,x_0) = \mathcal{N}(x_{t-1};\tilde{\mu}(x_t,x_0),\tilde{\beta}_t I)",
        r"q(x_{t-1}|x_t,x_0) = \mathcal{N}(x_{t-1};\tilde{\mu}_t(x_t,x_0),\tilde{\beta}_t I)",
    ),
    Entry(
        36,
        "ddpm",
        r"p_\theta(x_0 \mid x_1) = \mathcal{N}(x_0; \mu_\theta(x_1, 1), \tilde\beta_1 I)",
        r"p_\theta(x_0 \mid x_1) = \mathcal{N}(x_0; \mu_\theta(x_1, 1), \sigma_1^2 I)",
    ),
    *(
        Entry(
            number,
            "ddpm",
            printed,
            r"""L_{t-1} = \mathbb{E}_{x_0, x_t} \left[ \frac{1}{2\sigma_t^2}
                \lVert \tilde{\mu}_t(x_t,x_0) - \mu_{\theta}(x_t, t) \rVert^2 \right] + C_t""",
        )
        for number, printed in {
            38: r"""L_{t-1} = \mathbb{E}_{t,x_t,x0} \left[ \frac{1}{2\sigma_t^2}
                \lVert \tilde{\mu}_t(x_t,x_0) - \mu_{\theta}(x_t, t) \rVert^2 \right] + C""",
            39: r"""L_{t-1} = \mathbb{E}_{x_t,x_0} \left[ \frac{1}{2\sigma_t^2}
                \lVert \tilde{\mu}_t(x_t,x_0) - \mu_{\theta}(x_t, t) \rVert \right] + C""",
            40: r"""L_{t-1} = \mathbb{E}_{t,x_t,x_0} \left[ \frac{1}{2\sigma_t^2}
                \lVert \tilde{\mu}_t(x_t,x_0) - \mu_{\theta}(x_t, t) \rVert^2 \right] + C""",
        }.items()
    ),
    *(
        Entry(
            number,
            "ddpm",
            printed,
            r"""L_{t-1} - C_t = \mathbb{E}_{x_0,\epsilon} \left[ \frac{1}{2\sigma_t^2} \left\lVert \frac{1}{\sqrt{\alpha_t}} \cdot
                \left( x_t(x_0, \epsilon) - \frac{\beta_t}{\sqrt{1 - \bar{\alpha}_t}} \epsilon \right) -
                \mu_{\theta}(x_t(x_0, \epsilon), t) \right\rVert^2 \right]""",
        )
        for number, printed in {
            43: r"""L_{t-1} - C = \mathbb{E}_{x_0,\epsilon} \left[ \frac{1}{2\sigma_t^2} \left\lVert \frac{1}{\sqrt{\alpha_t}} \cdot
                \left( x_t(x_0, \epsilon) - \frac{\beta_t}{\sqrt{1 - \bar{\alpha}_t}} \epsilon \right) -
                \mu_{\theta}(x_t(x_0, \epsilon), t) \right\rVert \right] \tag{7}""",
            44: r"""L_{t-1} - C = \mathbb{E}_{x_0,\epsilon,t} \left[ \frac{1}{2\sigma_t^2} \left\lVert \frac{1}{\sqrt{\alpha_t}} \cdot
                \left( x_t(x_0, \epsilon) - \frac{\beta_t}{\sqrt{1 - \bar{\alpha}_t}} \epsilon \right) -
                \mu_{\theta}(x_t(x_0, \epsilon), t) \right\rVert^2 \right] \tag{7}""",
        }.items()
    ),
    Entry(
        45,
        "ddpm",
        r"\mathbb{E}[\tilde\mu_t(x_t, x_0) \mid x_t] = \frac{1}{\sqrt{\alpha_t}} \Bigl( x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}} \varepsilon \Bigr)",
        r"""\mathbb{E}[\tilde\mu_t(x_t, x_0) \mid x_t] = \frac{1}{\sqrt{\alpha_t}} \Bigl( x_t
            - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}} \mathbb{E}[\varepsilon \mid x_t] \Bigr)""",
    ),
    Entry(
        46,
        "ddpm",
        r"""\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}} \cdot
            \left( x_t(x_0, \epsilon) - \frac{\beta_t}{\sqrt{1 - \bar{\alpha}_t}} \right)""",
        r"""\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}} \cdot
            \left( x_t(x_0, \epsilon) - \frac{\beta_t}{\sqrt{1 - \bar{\alpha}_t}} \epsilon \right)""",
    ),
    *(
        Entry(
            number,
            "ddpm",
            rf"L_{{t-1}} - C_t = \mathbb{{E}}_{{x_0,\epsilon{t}}} \left[ {printed} \right]",
            rf"L_{{t-1}} - C_t = \mathbb{{E}}_{{x_0,\epsilon}} \left[ {right} \right]",
        )
        for number, t, printed, right in [
            (
                50,
                "",
                rf"\frac{{1}}{{2\sigma_t^2}} \left\lVert {TRACE} \cdot ( \epsilon - \epsilon_{{\theta}}(x_t(x_0, \epsilon), t) ) \right\rVert",
                rf"\frac{{1}}{{2\sigma_t^2}} \left\lVert {TRACE} \cdot ( \epsilon - \epsilon_{{\theta}}(x_t(x_0, \epsilon), t) ) \right\rVert^2",
            ),
            (
                51,
                "",
                r"\frac{\beta_t^2}{2\sigma_t^2 \alpha_t (1 - \bar{\alpha}_t)} \left\lVert \epsilon - \epsilon_{\theta}(x_t(x_0, \epsilon), t) \right\rVert",
                r"\frac{\beta_t^2}{2\sigma_t^2 \alpha_t (1 - \bar{\alpha}_t)} \left\lVert \epsilon - \epsilon_{\theta}(x_t(x_0, \epsilon), t) \right\rVert^2",
            ),
            (
                44,
                ",t",
                r"\frac{\beta_t^2}{2\sigma_t^2 \alpha_t (1 - \bar{\alpha}_t)} \left\lVert \epsilon - \epsilon_{\theta}(x_t(x_0, \epsilon), t) \right\rVert^2",
                r"\frac{\beta_t^2}{2\sigma_t^2 \alpha_t (1 - \bar{\alpha}_t)} \left\lVert \epsilon - \epsilon_{\theta}(x_t(x_0, \epsilon), t) \right\rVert^2",
            ),
        ]
    ),
    *(
        Entry(
            number,
            "ddpm",
            printed,
            r"L_\text{simple} = \mathbb{E}_{x_0,\epsilon,t} \left[ \left\lVert \epsilon - \epsilon_{\theta}(x_t(x_0, \epsilon), t) \right\rVert^2 \right]",
        )
        for number, printed in {
            55: r"L_{t-1} - C_t = \mathbb{E}_{x_0,\epsilon} \left[ \left\lVert \epsilon - \epsilon_{\theta}(x_t(x_0, \epsilon), t) \right\rVert^2 \right]",
            56: r"L_\text{simple} = \mathbb{E}_{x_0,\epsilon,t} \left[ \left\lVert \epsilon - \epsilon_{\theta}(x_t(x_0, \epsilon), t) \right\rVert \right]",
        }.items()
    ),
]
