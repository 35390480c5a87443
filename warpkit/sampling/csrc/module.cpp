// An empty Python module: importing it loads the library, which registers the operators.

#include <Python.h>

extern "C" PyObject* PyInit__native(void) {
  static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", nullptr, -1, nullptr};
  return PyModule_Create(&definition);
}
