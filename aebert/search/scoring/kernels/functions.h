// exp and GELU of all lanes of a vector.
#pragma once

#include "tiles.h"

inline Vector choose(Indices condition, Vector yes, Vector no) { return condition ? yes : no; }

// Horner's rule, highest power first.
template <class... Rest>
inline Vector polynomial(Vector x, Vector sum, Rest... rest) {
  ((sum = sum * x + rest), ...);
  return sum;
}

// exp(x) for x <= 0 within 2 units in the last place, 0 below -87; NaN stays NaN.
inline Vector exp_of_negative(Vector x) {
  const Vector low = all_lanes(-87.0f);
  const Vector bounded = choose(x < low, low, x);
  // x = n log 2 + r with n whole: adding and taking away 1.5 * 2^23 rounds. log 2 in two parts, so that r is exact.
  const Vector shifted = bounded * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
  const Vector r = (bounded - n * 0.693359375f) - n * -2.12194440e-4f;
  // The Taylor series: |r| <= log(2) / 2.
  const Vector series =
      polynomial(r, all_lanes(1.0f / 5040), 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f);
  const Indices exponent = (reinterpret_cast<Indices>(shifted) << 23) + (127 << 23);
  const Vector result = series * reinterpret_cast<Vector>(exponent);
  return choose(x < low, Vector{}, result);
}

// x Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2, with erf(z) = z P(z^2) / Q(z^2): a minimax fit for |z| <= 3.9, beyond
// which erf is 1 within 4e-8, as is the error of the fit before rounding.
inline Vector gelu(Vector x) {
  const Vector z = x * 0.707106781f, square = z * z;
  const Vector above = polynomial(square, all_lanes(2.01187671e-8f), -1.99694773e-6f, 1.47478393e-4f, 3.89640476e-3f,
                                  5.11492826e-2f, 0.204227656f, 1.12837875f);
  const Vector below = polynomial(square, all_lanes(1.00663526e-3f), 1.47307588e-2f, 0.116786674f, 0.514321089f, 1.0f);
  Vector erf = z * above / below;
  erf = choose(z > 3.9f, all_lanes(1.0f), erf);
  erf = choose(z < -3.9f, all_lanes(-1.0f), erf);
  return 0.5f * x * (1.0f + erf);
}
