// ap_int and ap_uint on clang's _BitInt, for the scheduler's front end: every operation gives as many bits as Xilinx's
// header gives it (UG1399, "Arbitrary precision integer types"), so that widths are exact without an analysis.
#pragma once

#include <cstdint>
#include <type_traits>

namespace aebert_ap {

template <int kBits, bool kSigned>
struct BitInt {
  using type = _BitInt(kBits);
};
template <int kBits>
struct BitInt<kBits, false> {
  using type = unsigned _BitInt(kBits);
};
template <>
struct BitInt<1, true> {  // a signed _BitInt has at least two bits
  using type = _BitInt(2);
};

constexpr int larger(int left, int right) { return left > right ? left : right; }

template <int kBits, bool kSigned>
class Integer {
 public:
  using Value = typename BitInt<kBits, kSigned>::type;
  static constexpr int width = kBits;
  static constexpr bool is_signed = kSigned;

  Integer() = default;
  template <typename T, typename = std::enable_if_t<std::is_integral<T>::value>>
  Integer(T value) : value_(Value(value)) {}
  template <int kOther, bool kOtherSigned>
  Integer(const Integer<kOther, kOtherSigned>& other) : value_(Value(other.value())) {}

  Value value() const { return value_; }
  template <typename T, typename = std::enable_if_t<std::is_integral<T>::value>>
  operator T() const {
    return T(value_);
  }

  Integer operator<<(int places) const { return of(Value(value_ << places)); }
  Integer operator>>(int places) const { return of(Value(value_ >> places)); }
  Integer operator~() const { return of(Value(~value_)); }
  Integer<kBits + 1, true> operator-() const { return Integer<1, false>(0) - *this; }
  template <typename T>
  Integer& operator+=(const T& other) {
    return *this = Integer(*this + other);
  }
  template <typename T>
  Integer& operator-=(const T& other) {
    return *this = Integer(*this - other);
  }
  template <typename T>
  Integer& operator*=(const T& other) {
    return *this = Integer(*this * other);
  }
  Integer& operator<<=(int places) { return *this = *this << places; }
  Integer& operator>>=(int places) { return *this = *this >> places; }

  static Integer of(Value value) {
    Integer result;
    result.value_ = value;
    return result;
  }

 private:
  Value value_;
};

// A plain integer takes part with its own width.
template <typename T>
struct Widened {
  using type = Integer<int(8 * sizeof(T)), std::is_signed<T>::value>;
};
template <>
struct Widened<bool> {
  using type = Integer<1, false>;
};
template <int kBits, bool kSigned>
struct Widened<Integer<kBits, kSigned>> {
  using type = Integer<kBits, kSigned>;
};

template <typename T>
struct IsInteger : std::false_type {};
template <int kBits, bool kSigned>
struct IsInteger<Integer<kBits, kSigned>> : std::true_type {};

// Either side is one of ours, the other one of ours or a plain integer.
template <typename L, typename R>
using Both = std::enable_if_t<(IsInteger<L>::value || IsInteger<R>::value) &&
                              (IsInteger<L>::value || std::is_integral<L>::value) &&
                              (IsInteger<R>::value || std::is_integral<R>::value)>;

template <typename L, typename R>
struct Pair {
  using Left = typename Widened<L>::type;
  using Right = typename Widened<R>::type;
  static constexpr bool is_signed = Left::is_signed || Right::is_signed;
  static constexpr int common =
      larger(Left::width + (is_signed && !Left::is_signed), Right::width + (is_signed && !Right::is_signed));
  using Common = Integer<common, is_signed>;
  using Sum = Integer<common + 1, is_signed>;
  using Difference = Integer<common + 1, true>;
  using Product = Integer<Left::width + Right::width, is_signed>;
  using Quotient = Integer<Left::width + Right::is_signed, is_signed>;
};

#define AEBERT_AP_OPERATOR(symbol, Result)                                                \
  template <typename L, typename R, typename = Both<L, R>>                                \
  typename Pair<L, R>::Result operator symbol(const L& left, const R& right) {            \
    using Wide = typename Pair<L, R>::Result;                                             \
    return Wide::of(typename Wide::Value(Wide(left).value() symbol Wide(right).value())); \
  }
AEBERT_AP_OPERATOR(+, Sum)
AEBERT_AP_OPERATOR(-, Difference)
AEBERT_AP_OPERATOR(*, Product)
AEBERT_AP_OPERATOR(/, Quotient)
AEBERT_AP_OPERATOR(&, Common)
AEBERT_AP_OPERATOR(|, Common)
AEBERT_AP_OPERATOR(^, Common)
#undef AEBERT_AP_OPERATOR

#define AEBERT_AP_COMPARISON(symbol)                       \
  template <typename L, typename R, typename = Both<L, R>> \
  bool operator symbol(const L& left, const R& right) {    \
    using Wide = typename Pair<L, R>::Common;              \
    return Wide(left).value() symbol Wide(right).value();  \
  }
AEBERT_AP_COMPARISON(==)
AEBERT_AP_COMPARISON(!=)
AEBERT_AP_COMPARISON(<)
AEBERT_AP_COMPARISON(<=)
AEBERT_AP_COMPARISON(>)
AEBERT_AP_COMPARISON(>=)
#undef AEBERT_AP_COMPARISON

}  // namespace aebert_ap

template <int kBits>
using ap_int = aebert_ap::Integer<kBits, true>;
template <int kBits>
using ap_uint = aebert_ap::Integer<kBits, false>;
