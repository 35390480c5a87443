// One instruction set: WARPKIT_LEVEL names it. What is included before the target is switched stays usable everywhere.

namespace warpkit {
namespace WARPKIT_LEVEL {
namespace narrow {
#define WARPKIT_INDEX int32_t
#include "loops.inl"
#undef WARPKIT_INDEX
}  // namespace narrow
namespace wide {
#define WARPKIT_INDEX int64_t
#include "loops.inl"
#undef WARPKIT_INDEX
}  // namespace wide
}  // namespace WARPKIT_LEVEL

#define WARPKIT_JOIN_(a, b) a##b
#define WARPKIT_JOIN(a, b) WARPKIT_JOIN_(a, b)
#define WARPKIT_TEXT_(a) #a
#define WARPKIT_TEXT(a) WARPKIT_TEXT_(a)
extern const Level WARPKIT_JOIN(level_, WARPKIT_LEVEL){
    WARPKIT_TEXT(WARPKIT_LEVEL),
    {WARPKIT_LEVEL::narrow::loops<float>, WARPKIT_LEVEL::wide::loops<float>},
    {WARPKIT_LEVEL::narrow::loops<double>, WARPKIT_LEVEL::wide::loops<double>}};
}  // namespace warpkit
