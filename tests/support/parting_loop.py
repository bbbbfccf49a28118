"""A loop whose ways part and meet again, as LLVM IR."""

from __future__ import annotations

# header: first? -> left (whose arms meet in the tail) : right -> (second? tail : latch)
PARTING_LOOP = """\
define void @process(i1 %first, i1 %inner, i1 %second, i1 %again) {
entry:
  br label %header
header:
  br i1 %first, label %left, label %right
left:
  br i1 %inner, label %arm, label %tail
arm:
  br label %tail
right:
  br i1 %second, label %tail, label %latch
tail:
  br label %latch
latch:
  br i1 %again, label %header, label %leave
leave:
  ret void
}
"""
