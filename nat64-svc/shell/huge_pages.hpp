// SPDX-License-Identifier: Apache-2.0
// Memory for large tables on transparent huge pages, where the kernel has them: with pages of 4 KiB every
// look into a table of some megabytes misses the TLB. A kernel without them gives small pages, and all still
// works. The memory is taken whole, at once.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory_resource>
#include <new>

namespace isthmus::nat64 {

class HugePages : public std::pmr::memory_resource {
 public:
  [[nodiscard]] static HugePages* get() {
    static HugePages instance;
    return &instance;
  }

 private:
  static constexpr std::size_t kPage = std::size_t{2} << 20;
  // Small tables stay small: from half a huge page on.
  static constexpr std::size_t kLeast = kPage / 2;

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes < kLeast) return ::operator new(bytes, std::align_val_t{alignment});
    void* p = ::operator new(bytes, std::align_val_t{kPage});
    // As many whole huge pages as fit; the rest, and a refusal, mean small ones.
    (void)madvise(p, bytes, MADV_HUGEPAGE);
    // Here rather than under traffic: to clear a huge page takes as long as hundreds of packets do. Kernels
    // before 5.14 refuse, and clear each page when it is first used.
    (void)madvise(p, bytes, MADV_POPULATE_WRITE);
    return p;
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    ::operator delete(p, std::align_val_t{bytes < kLeast ? alignment : kPage});
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
};

}  // namespace isthmus::nat64
