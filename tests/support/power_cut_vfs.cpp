// SPDX-License-Identifier: Apache-2.0
#include "tests/support/power_cut_vfs.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <random>
#include <set>

namespace isthmus::test {
namespace {

constexpr std::size_t kSector = 512;

// SQLite allocates szOsFile bytes; the real file's part follows ours.
struct File {
  sqlite3_file base;
  PowerCutDisk* disk;
  std::string* path;
  sqlite3_file* real;
};

File* ours(sqlite3_file* file) {
  return static_cast<File*>(static_cast<void*>(file));
}
const sqlite3_io_methods& real(sqlite3_file* file) {
  return *ours(file)->real->pMethods;
}
sqlite3_vfs* system_vfs() {
  static sqlite3_vfs* const kSystem = sqlite3_vfs_find(nullptr);
  return kSystem;
}
PowerCutDisk* disk_of(sqlite3_vfs* vfs) {
  return static_cast<PowerCutDisk*>(vfs->pAppData);
}

std::string read_whole(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

int close_file(sqlite3_file* f) {
  const int code = real(f).xClose(ours(f)->real);
  delete ours(f)->path;
  return code;
}
int read_file(sqlite3_file* f, void* out, int n, sqlite3_int64 at) {
  if (ours(f)->disk->is_cut()) return SQLITE_IOERR_READ;
  return real(f).xRead(ours(f)->real, out, n, at);
}
int write_file(sqlite3_file* f, const void* in, int n, sqlite3_int64 at) {
  return ours(f)->disk->alive() ? real(f).xWrite(ours(f)->real, in, n, at) : SQLITE_IOERR_WRITE;
}
int truncate_file(sqlite3_file* f, sqlite3_int64 size) {
  return ours(f)->disk->alive() ? real(f).xTruncate(ours(f)->real, size) : SQLITE_IOERR_TRUNCATE;
}
int sync_file(sqlite3_file* f, int) {
  if (!ours(f)->disk->alive()) return SQLITE_IOERR_FSYNC;
  ours(f)->disk->synced(*ours(f)->path);  // the real disk need not: nothing of it is lost
  return SQLITE_OK;
}
int file_size(sqlite3_file* f, sqlite3_int64* size) {
  return real(f).xFileSize(ours(f)->real, size);
}
int lock_file(sqlite3_file* f, int level) {
  return real(f).xLock(ours(f)->real, level);
}
int unlock_file(sqlite3_file* f, int level) {
  return real(f).xUnlock(ours(f)->real, level);
}
int check_lock(sqlite3_file* f, int* out) {
  return real(f).xCheckReservedLock(ours(f)->real, out);
}
int control(sqlite3_file* f, int op, void* arg) {
  return real(f).xFileControl(ours(f)->real, op, arg);
}
int sector_size(sqlite3_file*) {
  return static_cast<int>(kSector);
}
int characteristics(sqlite3_file*) {
  return 0;  // promises nothing
}
int shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return real(f).xShmMap(ours(f)->real, page, size, extend, out);
}
int shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  return real(f).xShmLock(ours(f)->real, offset, n, flags);
}
void shm_barrier(sqlite3_file* f) {
  real(f).xShmBarrier(ours(f)->real);
}
int shm_unmap(sqlite3_file* f, int remove) {
  return real(f).xShmUnmap(ours(f)->real, remove);
}

const sqlite3_io_methods* methods() {
  static const sqlite3_io_methods kMethods = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;  // no memory-mapped files: every byte comes by here
    m.xClose = close_file;
    m.xRead = read_file;
    m.xWrite = write_file;
    m.xTruncate = truncate_file;
    m.xSync = sync_file;
    m.xFileSize = file_size;
    m.xLock = lock_file;
    m.xUnlock = unlock_file;
    m.xCheckReservedLock = check_lock;
    m.xFileControl = control;
    m.xSectorSize = sector_size;
    m.xDeviceCharacteristics = characteristics;
    m.xShmMap = shm_map;
    m.xShmLock = shm_lock;
    m.xShmBarrier = shm_barrier;
    m.xShmUnmap = shm_unmap;
    return m;
  }();
  return &kMethods;
}

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  File* file = ours(f);
  file->base.pMethods = nullptr;
  file->disk = disk_of(vfs);
  file->real = static_cast<sqlite3_file*>(static_cast<void*>(file + 1));
  const int code = system_vfs()->xOpen(system_vfs(), name, file->real, flags, out_flags);
  if (code != SQLITE_OK) return code;
  file->path = new std::string(name == nullptr ? "" : name);
  file->base.pMethods = methods();
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  if (!disk_of(vfs)->alive()) return SQLITE_IOERR_DELETE;
  const int code = system_vfs()->xDelete(system_vfs(), name, sync_directory);
  if (code == SQLITE_OK) disk_of(vfs)->removed(name, sync_directory != 0);
  return code;
}

}  // namespace

PowerCutDisk::PowerCutDisk() {
  vfs_ = *system_vfs();  // names, times and randomness are the system's
  vfs_.pNext = nullptr;
  vfs_.zName = kName;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + system_vfs()->szOsFile;
  vfs_.xOpen = open_file;
  vfs_.xDelete = delete_file;
  sqlite3_vfs_register(&vfs_, 0);
}

PowerCutDisk::~PowerCutDisk() {
  sqlite3_vfs_unregister(&vfs_);
}

bool PowerCutDisk::alive() {
  if (cut_ || operations_left_-- == 0) cut_ = true;
  return !cut_;
}

void PowerCutDisk::synced(const std::string& path) {
  if (!ignore_syncs_) durable_[path] = read_whole(path);
  deleted_.erase(path);
}

void PowerCutDisk::removed(const std::string& path, bool directory_synced) {
  deleted_.insert(path);
  if (directory_synced) sync_directory();
}

void PowerCutDisk::sync_directory() {
  for (const auto& path : deleted_) durable_.erase(path);
  deleted_.clear();
}

void PowerCutDisk::come_back(std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::set<std::string> paths;
  for (const auto& [path, content] : durable_) paths.insert(path);
  if (!paths.empty()) {
    const auto directory = std::filesystem::path{*paths.begin()}.parent_path();
    for (const auto& entry : std::filesystem::directory_iterator{directory}) {
      if (!entry.path().string().ends_with(".lock")) paths.insert(entry.path().string());
    }
  }
  for (const auto& path : paths) {
    const auto synced = durable_.find(path);
    if (synced == durable_.end() || path.ends_with("-shm")) {
      std::filesystem::remove(path);
      continue;
    }
    std::string content = synced->second;
    const std::string written = seed == 0 ? content : read_whole(path);
    for (std::size_t at = 0; at < written.size(); at += kSector) {
      if (seed == 0 || random() % 2 == 0) continue;
      const auto sector = written.substr(at, kSector);
      if (content.size() < at + sector.size()) content.resize(at + sector.size());
      content.replace(at, sector.size(), sector);
    }
    std::ofstream{path, std::ios::binary | std::ios::trunc} << content;
  }
  cut_ = false;
  operations_left_ = ~std::uint64_t{0};
}

}  // namespace isthmus::test
