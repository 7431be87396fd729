/* A libnvidia-ml.so.1 that has no GPUs of its own. The file that NVML_STUB names says what it shows, afresh each time
 * that it is opened; whoever forgot to close it cannot open it again:
 *
 *     driver 550.54.15           version of the driver
 *     init 9                     nvmlInit fails with this code
 *     count 999                  nvmlDeviceGetCount fails with this code
 *     shutdown 999               nvmlShutdown fails with this code, and closes all the same
 *     hang                       nvmlInit never comes back
 *     gpu GPU-1                  a whole GPU
 *     bad 15                     a GPU whose handle fails with this code
 *     mig GPU-2 MIG-1 - MIG-2    a GPU with MIG on: a slice, a free place, another slice
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 16
#define TEXT 96
enum { FINE = 0, UNINITIALIZED = 1, NOT_SUPPORTED = 3, ALREADY_INITIALIZED = 5, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9 };

struct device {
    char uuid[TEXT];
    int failure;
    int is_cut;
    int places;
    struct device *slices[MOST];
};

static struct device devices[MOST];
static int count, counting_fails, closing_fails, is_open;
static char driver[TEXT];

static struct device *a_slice(const char *uuid) {
    struct device *made = calloc(1, sizeof *made);
    strncpy(made->uuid, uuid, TEXT - 1);
    return made;
}

static void cut(struct device *device, char *rest) {
    device->is_cut = 1;
    for (char *word = strtok(rest, " \n"); word; word = strtok(NULL, " \n"))
        device->slices[device->places++] = strcmp(word, "-") ? a_slice(word) : NULL;
}

static int read_state(void) {
    const char *path = getenv("NVML_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512], word[TEXT];
    int failure = FINE, at;
    if (!file)
        return DRIVER_NOT_LOADED;
    memset(devices, 0, sizeof devices);
    count = counting_fails = closing_fails = 0;
    strcpy(driver, "1.0");
    while (fgets(line, sizeof line, file)) {
        struct device *next = &devices[count];
        if (sscanf(line, "driver %95s", driver) == 1 || sscanf(line, "init %d", &failure) == 1
            || sscanf(line, "count %d", &counting_fails) == 1 || sscanf(line, "shutdown %d", &closing_fails) == 1)
            continue;
        if (!strncmp(line, "hang", 4))
            for (;;)
                pause();
        if (sscanf(line, "gpu %95s", next->uuid) == 1 || sscanf(line, "bad %d", &next->failure) == 1)
            count++;
        else if (sscanf(line, "mig %95s%n", word, &at) == 1) {
            strcpy(next->uuid, word);
            cut(next, line + at);
            count++;
        }
    }
    fclose(file);
    return failure;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    if (is_open)
        return ALREADY_INITIALIZED;
    int failure = read_state();
    is_open = failure == FINE;
    return failure;
}

int nvmlShutdown(void) {
    if (!is_open)
        return UNINITIALIZED;
    is_open = 0;
    return closing_fails;
}

int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    if (!is_open)
        return UNINITIALIZED;
    strncpy(text, driver, length);
    return FINE;
}

int nvmlDeviceGetCount_v2(unsigned *found) {
    *found = (unsigned)count;
    return is_open ? counting_fails : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **found) {
    *found = &devices[index];
    return is_open ? devices[index].failure : UNINITIALIZED;
}

int nvmlDeviceGetUUID(struct device *device, char *text, unsigned length) {
    strncpy(text, device->uuid, length);
    return FINE;
}

int nvmlDeviceGetMigMode(struct device *device, unsigned *current, unsigned *pending) {
    *current = *pending = (unsigned)device->is_cut;
    return device->is_cut ? FINE : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxMigDeviceCount(struct device *device, unsigned *most) {
    *most = (unsigned)device->places;
    return FINE;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct device *device, unsigned index, struct device **found) {
    *found = device->slices[index];
    return *found ? FINE : NOT_FOUND;
}

const char *nvmlErrorString(int code) {
    (void)code;
    return "a failure of the stub";
}
