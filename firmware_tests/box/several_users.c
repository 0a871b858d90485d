/* A PKCS#11 module that several users may open: SoftHSM, whose configuration it names itself, without the umask that
 * makes files one user's. It stands for a network HSM, which knows nothing of our users. FILE.so.conf names the
 * configuration; the real module is the one that it is built with. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long (*get_function_list)(void **);

unsigned long C_GetFunctionList(void **list) {
    Dl_info here;
    char path[4096];
    if (!dladdr((void *)C_GetFunctionList, &here)) return 5;
    snprintf(path, sizeof path, "%s.conf", here.dli_fname);
    setenv("SOFTHSM2_CONF", path, 1);
    void *real = dlopen(REAL_MODULE, RTLD_NOW | RTLD_LOCAL);
    if (!real) return 5;
    get_function_list get = (get_function_list)dlsym(real, "C_GetFunctionList");
    return get ? get(list) : 5;
}
