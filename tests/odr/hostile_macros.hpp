// SPDX-License-Identifier: Apache-2.0
// Macros that real platforms define: <windows.h>, <complex.h>, Arduino's core, vendors' register headers. A
// call of a function of such a name is written `(std::min)(a, b)`.
#define min(a, b) hostile macro
#define max(a, b) hostile macro
#define abs(x) hostile macro
#define round(x) hostile macro
#define bit(b) hostile macro
#define constrain(x, low, high) hostile macro
#define F(text) hostile macro
#define T(text) hostile macro
#define small hostile macro
#define near hostile macro
#define far hostile macro
#define interface hostile macro
#define I hostile macro
#define M hostile macro
#define N hostile macro
#define B0 hostile macro
#define B1 hostile macro
