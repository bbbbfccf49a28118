// The open ap_int.h under -D__SYNTHESIS__: there it expects the integer types of Xilinx's own front end. The widths and
// operators that its simulation branch declares are the same, and that is all a syntax check sees.
#pragma once
#pragma push_macro("__SYNTHESIS__")
#undef __SYNTHESIS__
#include_next <ap_int.h>
#pragma pop_macro("__SYNTHESIS__")
