// SPDX-License-Identifier: Apache-2.0
#include "common/config/policy_diff.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include <map>
#include <set>

#include "common/config/durations.hpp"

namespace isthmus {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

bool is_duration(const Field& field) {
  return field.type() == Field::TYPE_MESSAGE &&
         field.message_type()->full_name() == pb::Duration::descriptor()->full_name();
}

bool is_leaf(const Field& field) {
  return field.type() != Field::TYPE_MESSAGE || is_duration(field);
}

// One value as it is written in YAML. `index` < 0: the field is not repeated.
std::string text(const pb::Message& message, const Field& field, int index) {
  const auto& reflect = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case Field::CPPTYPE_BOOL:
      return (one ? reflect.GetBool(message, &field) : reflect.GetRepeatedBool(message, &field, index))
                 ? "true"
                 : "false";
    case Field::CPPTYPE_UINT32:
      return std::to_string(one ? reflect.GetUInt32(message, &field)
                                : reflect.GetRepeatedUInt32(message, &field, index));
    case Field::CPPTYPE_UINT64:
      return std::to_string(one ? reflect.GetUInt64(message, &field)
                                : reflect.GetRepeatedUInt64(message, &field, index));
    case Field::CPPTYPE_ENUM:
      return one ? reflect.GetEnum(message, &field)->name()
                 : reflect.GetRepeatedEnum(message, &field, index)->name();
    case Field::CPPTYPE_STRING:
      return one ? reflect.GetString(message, &field) : reflect.GetRepeatedString(message, &field, index);
    case Field::CPPTYPE_MESSAGE: {
      const auto& value =
          one ? reflect.GetMessage(message, &field) : reflect.GetRepeatedMessage(message, &field, index);
      const auto* duration = dynamic_cast<const pb::Duration*>(&value);
      return duration == nullptr ? value.ShortDebugString() : format_duration(duration_from_proto(*duration));
    }
    case Field::CPPTYPE_INT32:  // the schema has none of these
    case Field::CPPTYPE_INT64:
    case Field::CPPTYPE_DOUBLE:
    case Field::CPPTYPE_FLOAT:
      break;
  }
  return "?";
}

// What tells one object of a list from another: its name, file or address, or all of it.
std::string key_of(const pb::Message& message) {
  for (const auto* key : {"name", "file", "address"}) {
    const auto* field = message.GetDescriptor()->FindFieldByName(key);
    if (field != nullptr && field->cpp_type() == Field::CPPTYPE_STRING)
      return message.GetReflection()->GetString(message, field);
  }
  return message.ShortDebugString();
}

class Differ {
 public:
  void messages(const pb::Message& before, const pb::Message& after, const std::string& path) {
    const auto* descriptor = before.GetDescriptor();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const Field& field = *descriptor->field(i);
      const auto where = path.empty() ? field.name() : path + "." + field.name();
      if (field.is_repeated()) {
        is_leaf(field) ? values(before, after, field, where) : objects(before, after, field, where);
      } else if (is_leaf(field)) {
        value(before, after, field, where);
      } else {
        messages(before.GetReflection()->GetMessage(before, &field),
                 after.GetReflection()->GetMessage(after, &field), where);
      }
    }
  }

  std::vector<PolicyChange> changes;

 private:
  static std::string present(const pb::Message& message, const Field& field) {
    std::vector<const Field*> set;
    message.GetReflection()->ListFields(message, &set);
    for (const auto* each : set) {
      if (each == &field) return text(message, field, -1);
    }
    return "";
  }

  void value(const pb::Message& before, const pb::Message& after, const Field& field,
             const std::string& path) {
    auto was = present(before, field);
    auto is = present(after, field);
    if (was != is) changes.push_back({path, std::move(was), std::move(is)});
  }

  void values(const pb::Message& before, const pb::Message& after, const Field& field,
              const std::string& path) {
    std::set<std::string> was, is;
    for (int i = 0; i < before.GetReflection()->FieldSize(before, &field); ++i)
      was.insert(text(before, field, i));
    for (int i = 0; i < after.GetReflection()->FieldSize(after, &field); ++i)
      is.insert(text(after, field, i));
    for (const auto& each : was) {
      if (!is.contains(each)) changes.push_back({path, each, ""});
    }
    for (const auto& each : is) {
      if (!was.contains(each)) changes.push_back({path, "", each});
    }
  }

  using Objects = std::map<std::string, const pb::Message*>;
  static Objects objects_of(const pb::Message& message, const Field& field) {
    Objects out;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
      const auto& object = message.GetReflection()->GetRepeatedMessage(message, &field, i);
      out.emplace(key_of(object), &object);
    }
    return out;
  }

  void objects(const pb::Message& before, const pb::Message& after, const Field& field,
               const std::string& path) {
    const auto was = objects_of(before, field);
    const auto is = objects_of(after, field);
    const pb::Message& nothing =
        *before.GetReflection()->GetMessageFactory()->GetPrototype(field.message_type());
    for (const auto& [key, object] : was) {
      const auto other = is.find(key);
      messages(*object, other == is.end() ? nothing : *other->second, path + "[" + key + "]");
    }
    for (const auto& [key, object] : is) {
      if (!was.contains(key)) messages(nothing, *object, path + "[" + key + "]");
    }
  }
};

}  // namespace

std::vector<PolicyChange> diff(const v1::Policy& before, const v1::Policy& after) {
  Differ differ;
  differ.messages(before, after, "");
  return std::move(differ.changes);
}

}  // namespace isthmus
