// SPDX-License-Identifier: Apache-2.0
// Questions to a thread that must never wait: one at a time lies in a slot that the thread looks into between
// two bursts (one load when it is empty). Whoever asks waits; the worker takes no lock.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <semaphore>

#include "common/base/clock.hpp"

namespace isthmus::nat64 {

class Mailbox {
 public:
  using Question = std::function<void(TimePoint now)>;

  // Any thread. Runs the question on the worker's thread and returns when it is done; `wake` gets the worker
  // out of its sleep. False when the worker did not look in time: the question was not and will not be run.
  [[nodiscard]] bool ask(const Question& question, const std::function<void()>& wake,
                         std::chrono::milliseconds patience = std::chrono::seconds{2}) {
    const std::lock_guard one_at_a_time(askers_);
    Letter letter{question};
    slot_.store(&letter, std::memory_order_release);
    wake();
    if (letter.done.try_acquire_for(patience)) return true;
    Letter* mine = &letter;
    if (slot_.compare_exchange_strong(mine, nullptr)) return false;
    letter.done.acquire();  // it was being answered just now
    return true;
  }

  // The worker, between two bursts.
  void answer(TimePoint now) {
    if (slot_.load(std::memory_order_relaxed) == nullptr) [[likely]]
      return;
    Letter* letter = slot_.exchange(nullptr, std::memory_order_acquire);
    if (letter == nullptr) return;
    letter->question(now);
    letter->done.release();
  }

 private:
  struct Letter {
    const Question& question;
    std::binary_semaphore done{0};
  };
  std::mutex askers_;
  std::atomic<Letter*> slot_{nullptr};
};

}  // namespace isthmus::nat64
