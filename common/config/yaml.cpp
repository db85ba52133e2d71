// SPDX-License-Identifier: Apache-2.0
// Walks the YAML document along the protobuf descriptor, so that the schema is written down once, in
// policy.proto.
#include "common/config/yaml.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <sstream>

#include "common/config/durations.hpp"
#include "common/config/from_proto.hpp"

namespace isthmus {
namespace {

namespace pb = google::protobuf;

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxViolations = 200;  // a person reads them
constexpr std::size_t kMaxItems = 2'000'000;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

// "; did you mean `x`?" for the nearest field name, or the list of all when none is near.
std::string suggestion(const pb::Descriptor& message, std::string_view wrong) {
  std::string best;
  std::size_t best_distance = 4;
  std::string all;
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& name = message.field(i)->name();
    const auto distance = edit_distance(wrong.substr(0, 64), name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
    all += (i == 0 ? "" : ", ") + name;
  }
  return best.empty() ? "; known here: " + all : "; did you mean `" + best + "`?";
}

class Walker {
 public:
  std::vector<Violation> violations;

  void message(const YAML::Node& node, pb::Message& out, const std::string& path, int depth) {
    if (node.IsNull()) return;  // `dns64:` with nothing below it
    if (depth > kMaxDepth) return refuse(node, path, "nested too deeply");
    if (!node.IsMap()) return refuse(node, path, "expected fields (`name: value` lines)");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (full()) return;
      if (!entry.first.IsScalar()) {
        refuse(entry.first, path, "a field name must be plain text");
        continue;
      }
      const auto& name = entry.first.Scalar();
      const std::string at = path.empty() ? name : path + "." + name;
      const auto* field = out.GetDescriptor()->FindFieldByName(name);
      if (field == nullptr) {
        refuse(entry.first, at, "unknown field" + suggestion(*out.GetDescriptor(), name));
      } else if (!seen.insert(name).second) {
        refuse(entry.first, at, "given twice; keep one");
      } else {
        this->field(entry.second, out, *field, at, depth);
      }
    }
  }

  void refuse(const YAML::Node& node, const std::string& path, std::string message) {
    if (full()) return;
    const auto mark = node.Mark();
    if (mark.line >= 0) message += " (line " + std::to_string(mark.line + 1) + ")";
    violations.push_back({path, std::move(message)});
  }

 private:
  [[nodiscard]] bool full() const { return violations.size() >= kMaxViolations; }

  void field(const YAML::Node& node, pb::Message& out, const pb::FieldDescriptor& field,
             const std::string& path, int depth) {
    if (!field.is_repeated()) return value(node, out, field, path, depth);
    if (node.IsNull()) return;
    if (!node.IsSequence()) return refuse(node, path, "expected a list (`- value` lines or [a, b])");
    std::size_t index = 0;
    for (const auto& item : node) {
      if (++items_ > kMaxItems) return refuse(node, path, "too many entries in all");
      value(item, out, field, path + "[" + std::to_string(index++) + "]", depth);
    }
  }

  void value(const YAML::Node& node, pb::Message& out, const pb::FieldDescriptor& field,
             const std::string& path, int depth) {
    const auto& reflect = *out.GetReflection();
    if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      auto& child =
          field.is_repeated() ? *reflect.AddMessage(&out, &field) : *reflect.MutableMessage(&out, &field);
      if (field.message_type()->full_name() == "google.protobuf.Duration") return duration(node, child, path);
      return message(node, child, path, depth + 1);
    }
    if (!node.IsScalar()) return refuse(node, path, "expected one value");
    scalar(node, out, field, path);
  }

  void duration(const YAML::Node& node, pb::Message& out, const std::string& path) {
    const auto parsed = node.IsScalar() ? parse_duration(node.Scalar()) : std::nullopt;
    if (!parsed) return refuse(node, path, "expected a duration like 300s, 5m, 2h or 250ms");
    pb::Duration value = duration_to_proto(*parsed);
    out.CopyFrom(value);
  }

  void scalar(const YAML::Node& node, pb::Message& out, const pb::FieldDescriptor& field,
              const std::string& path) {
    const auto& reflect = *out.GetReflection();
    const auto& text = node.Scalar();
    switch (field.cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_STRING:
        return field.is_repeated() ? reflect.AddString(&out, &field, text)
                                   : reflect.SetString(&out, &field, text);
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false") return refuse(node, path, "expected true or false");
        return reflect.SetBool(&out, &field, text == "true");
      case pb::FieldDescriptor::CPPTYPE_UINT32: {
        const auto number = integer(text);
        if (!number || *number > std::numeric_limits<std::uint32_t>::max())
          return refuse(node, path, "expected a whole number from 0 to 4294967295");
        return reflect.SetUInt32(&out, &field, static_cast<std::uint32_t>(*number));
      }
      case pb::FieldDescriptor::CPPTYPE_UINT64: {
        const auto number = integer(text);
        if (!number) return refuse(node, path, "expected a whole number, 0 or more");
        return reflect.SetUInt64(&out, &field, *number);
      }
      case pb::FieldDescriptor::CPPTYPE_ENUM:
        return enumeration(node, out, field, path);
      case pb::FieldDescriptor::CPPTYPE_INT32:
      case pb::FieldDescriptor::CPPTYPE_INT64:
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      case pb::FieldDescriptor::CPPTYPE_FLOAT:
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    refuse(node, path, "the schema has a type that policies do not use");
  }

  void enumeration(const YAML::Node& node, pb::Message& out, const pb::FieldDescriptor& field,
                   const std::string& path) {
    const auto& type = *field.enum_type();
    const auto* value = type.FindValueByName(node.Scalar());
    if (value != nullptr && value->number() != 0) return out.GetReflection()->SetEnum(&out, &field, value);
    std::string allowed;
    for (int i = 0; i < type.value_count(); ++i) {
      if (type.value(i)->number() != 0) allowed += (allowed.empty() ? "" : ", ") + type.value(i)->name();
    }
    refuse(node, path, "`" + node.Scalar().substr(0, 64) + "` is none of: " + allowed);
  }

  static std::optional<std::uint64_t> integer(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
  }

  std::size_t items_ = 0;
};

void emit(YAML::Emitter& out, const pb::Message& message);

void emit_value(YAML::Emitter& out, const pb::Message& message, const pb::FieldDescriptor& field, int index) {
  const auto& reflect = *message.GetReflection();
  const bool many = index >= 0;
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING:
      out << YAML::DoubleQuoted
          << (many ? reflect.GetRepeatedString(message, &field, index) : reflect.GetString(message, &field));
      return;
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      out << reflect.GetBool(message, &field);
      return;
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      out << reflect.GetUInt32(message, &field);
      return;
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      out << reflect.GetUInt64(message, &field);
      return;
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      out << reflect.GetEnum(message, &field)->name();
      return;
    case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
      const auto& child =
          many ? reflect.GetRepeatedMessage(message, &field, index) : reflect.GetMessage(message, &field);
      if (field.message_type()->full_name() == "google.protobuf.Duration") {
        pb::Duration value;
        value.CopyFrom(child);
        out << format_duration(duration_from_proto(value));
        return;
      }
      return emit(out, child);
    }
    case pb::FieldDescriptor::CPPTYPE_INT32:
    case pb::FieldDescriptor::CPPTYPE_INT64:
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return;  // policies do not use them
  }
}

void emit(YAML::Emitter& out, const pb::Message& message) {
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  out << YAML::BeginMap;
  for (const auto* field : fields) {
    out << YAML::Key << field->name() << YAML::Value;
    if (!field->is_repeated()) {
      emit_value(out, message, *field, -1);
      continue;
    }
    out << YAML::BeginSeq;
    const int count = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < count; ++i) emit_value(out, message, *field, i);
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
}

// Refuses a second document as it begins. LoadAll() would collect them first, and yaml-cpp 0.7 finds an
// endless row of empty documents in a lone "}".
class OneDocument : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      throw YAML::ParserException(mark, "a second document or a stray bracket; keep one document");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}

 private:
  int documents_ = 0;
};

YAML::Node load_one_document(const std::string& text) {
  std::istringstream in{text};
  YAML::Parser parser{in};
  OneDocument one;
  while (parser.HandleNextDocument(one)) {
  }
  return YAML::Load(text);
}

}  // namespace

Result<v1::Policy, std::vector<Violation>> parse_policy_yaml(std::string_view text) {
  using Violations = std::vector<Violation>;
  if (text.size() > kMaxPolicyBytes) {
    return failure(Violations{{"", "the document is larger than 8 MiB"}});
  }
  // Aliases cannot blow up ("billion laughs"): the schema bounds the depth, kMaxItems what lists add up to.
  Walker walker;
  v1::Policy policy;
  try {
    const auto document = load_one_document(std::string{text});
    if (!document.IsDefined() || document.IsNull()) return failure(Violations{{"", "the document is empty"}});
    walker.message(document, policy, "", 0);
  } catch (const YAML::Exception& e) {
    return failure(
        Violations{{"", "not YAML: " + e.msg + " (line " + std::to_string(e.mark.line + 1) + ")"}});
  }
  if (!walker.violations.empty()) return failure(std::move(walker.violations));
  return policy;
}

Result<Policy, std::vector<Violation>> load_policy(std::string_view yaml) {
  auto message = parse_policy_yaml(yaml);
  if (!message) return failure(std::move(message.error()));
  return from_proto(*message);
}

std::string to_yaml(const v1::Policy& policy) {
  YAML::Emitter out;
  emit(out, policy);
  return std::string{out.c_str()} + "\n";
}

}  // namespace isthmus
