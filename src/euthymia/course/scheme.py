"""One step of the fourth-order implicit scheme (Lobatto IIIA, three stages) for x' = b(t) - a(t) x.

The collocation points are the ends and the middle of the step; because every equation is affine in its own state, the
implicit equations are solved in closed form. The scheme is A-stable, so a fast decay never limits the step.
"""

from jax import Array

Vector = tuple[Array, Array]
Matrix = tuple[Vector, Vector]


def scalar_step(x0, a, b, h) -> tuple[Array, Array]:
    """Middle and end value of one state. a, b: triples at the start, middle and end of a step of length h."""
    (a0, am, a1), (b0, bm, b1) = a, b
    f0 = b0 - a0 * x0
    r_mid = x0 + h * (5 / 24 * f0 + 1 / 3 * bm - 1 / 24 * b1)
    r_end = x0 + h * (1 / 6 * f0 + 2 / 3 * bm + 1 / 6 * b1)
    m11, m12, m21, m22 = 1 + h * am / 3, -h * a1 / 24, h * am * (2 / 3), 1 + h * a1 / 6
    inverse = 1 / (m11 * m22 - m12 * m21)
    return (r_mid * m22 - m12 * r_end) * inverse, (m11 * r_end - m21 * r_mid) * inverse


def _apply(m: Matrix, v: Vector) -> Vector:
    return m[0][0] * v[0] + m[0][1] * v[1], m[1][0] * v[0] + m[1][1] * v[1]


def _multiply(m: Matrix, n: Matrix) -> Matrix:
    columns = [_apply(m, (n[0][j], n[1][j])) for j in (0, 1)]
    return (columns[0][0], columns[1][0]), (columns[0][1], columns[1][1])


def _invert(m: Matrix) -> Matrix:
    d = 1 / (m[0][0] * m[1][1] - m[0][1] * m[1][0])
    return (m[1][1] * d, -m[0][1] * d), (-m[1][0] * d, m[0][0] * d)


def _plus_identity(m: Matrix, factor) -> Matrix:
    return (1 + factor * m[0][0], factor * m[0][1]), (factor * m[1][0], 1 + factor * m[1][1])


def _scaled(m: Matrix, factor) -> Matrix:
    return (factor * m[0][0], factor * m[0][1]), (factor * m[1][0], factor * m[1][1])


def pair_step(x0: Vector, a, b, h) -> tuple[Vector, Vector]:
    """The same for two coupled states; each a is a 2 x 2 matrix, each b a pair."""
    (a0, am, a1), (b0, bm, b1) = a, b
    ax = _apply(a0, x0)
    f0 = (b0[0] - ax[0], b0[1] - ax[1])
    r_mid = tuple(x0[i] + h * (5 / 24 * f0[i] + 1 / 3 * bm[i] - 1 / 24 * b1[i]) for i in (0, 1))
    r_end = tuple(x0[i] + h * (1 / 6 * f0[i] + 2 / 3 * bm[i] + 1 / 6 * b1[i]) for i in (0, 1))
    p_inverse = _invert(_plus_identity(am, h / 3))
    q = _scaled(a1, -h / 24)
    r = _scaled(am, 2 * h / 3)
    rp = _multiply(r, p_inverse)
    rpq = _multiply(rp, q)
    s = _plus_identity(a1, h / 6)
    schur = (s[0][0] - rpq[0][0], s[0][1] - rpq[0][1]), (s[1][0] - rpq[1][0], s[1][1] - rpq[1][1])
    t = _apply(rp, r_mid)
    end = _apply(_invert(schur), (r_end[0] - t[0], r_end[1] - t[1]))
    qe = _apply(q, end)
    mid = _apply(p_inverse, (r_mid[0] - qe[0], r_mid[1] - qe[1]))
    return mid, end
